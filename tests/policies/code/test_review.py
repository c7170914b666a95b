"""Snippets that hide something, and honest ones. What is hidden must be found, under the kind that a policy refuses."""

from __future__ import annotations

from pathlib import Path

import pytest

from policies.code import Finding, review
from policies.examples import example

STUDY = Path(__file__).parents[3] / "notebooks" / "readmission" / "study"


def kinds(source: str, path: str = "study.py", **others: str) -> set[str]:
    files = {path: source, **{f"{name}.py": text for name, text in others.items()}}
    return {finding.kind for finding in review(files)} - {"import"}


@pytest.mark.parametrize(
    ("kind", "source"),
    [
        # files
        ("file", "open('x')"),
        ("file", "f = open\nf('x')"),
        ("file", "list(map(open, ['x']))"),
        ("file", "import pathlib"),
        ("file", "from pathlib import Path as Number\nNumber('x').read_text()"),
        ("file", "def fit(p, t, c):\n    t.to_csv('x')"),
        ("file", "import pandas as pd\npd.DataFrame.to_pickle(1, 'x')"),
        ("file", "import pandas as pd\npd.read_csv('x')"),
        ("file", "from pandas import read_fwf as parse\nparse('x')"),
        ("file", "import numpy as np\nnp.lib.format.open_memmap('x')"),
        ("file", "import numpy\nnumpy.load('x', allow_pickle=True)"),
        ("file", "from numpy import fromfile as f\nf('x')"),
        ("file", "import numpy as np\nnp.ones(3).tofile('x')"),
        ("file", "import torch as t\nt.save({}, 'x')"),
        ("file", "import torch\ntorch.jit.load('x')"),
        ("file", "import torch\ntorch.UntypedStorage.from_file('x')"),
        ("file", "from torch.utils import tensorboard"),
        ("file", "print(__file__)"),
        ("file", "def fit(p, t, c):\n    t.apply('to_csv', path_or_buf='x')"),
        # processes
        ("process", "import os as numpy\nnumpy.system('x')"),
        ("process", "from os import system as s\ns('x')"),
        ("process", "import subprocess"),
        ("process", "import numpy, os\nx = numpy, os\nx[1].system('y')"),
        ("process", "import torch\ntorch.multiprocessing.spawn(print)"),
        ("process", "import torch\ntorch.os.system('x')"),
        ("process", "from random import _os as helper"),
        ("process", "from torch.utils.data import DataLoader\nDataLoader([], num_workers=2)"),
        ("process", "from sklearn.linear_model import LogisticRegression\nLogisticRegression(n_jobs=-1)"),
        ("process", "from threading import Thread as T"),
        ("process", "import torch\nf = torch.compile(lambda x: x)"),
        ("process", "import signal"),
        ("process", "from torch.utils.collect_env import run\nrun('x')"),
        # network
        ("network", "import socket"),
        ("network", "import torch\ntorch.hub.load('a/b', 'c')"),
        ("network", "from urllib.request import urlopen"),
        ("network", "from sklearn import datasets\ndatasets.fetch_openml('x')"),
        ("network", "import torch.distributed as d"),
        # code that is made while it runs
        ("evaluation", "eval('1')"),
        ("evaluation", "e = exec\ne('1')"),
        ("evaluation", "compile('1', 'x', 'eval')"),
        ("evaluation", "__import__('o' + 's')"),
        ("evaluation", "import importlib"),
        ("evaluation", "import numpy as np\ngetattr(np, 'lo' + 'ad')('x')"),
        ("evaluation", "import numpy as np\nlist(map(getattr, [np], ['load']))"),
        ("evaluation", "import pickle"),
        ("evaluation", "from ctypes import CDLL"),
        ("evaluation", "import numpy as np\nnp.ctypeslib.load_library('x', 'y')"),
        ("evaluation", "from operator import attrgetter"),
        ("evaluation", "def fit(p, t, c):\n    t.query('@f(1)')"),
        ("evaluation", "def fit(p, t, c):\n    t.eval('x = 1')"),
        ("evaluation", "import torch\ntorch.utils.cpp_extension.load_inline('x', '')"),
        ("evaluation", "from typing import get_type_hints"),
        ("evaluation", "from torch.utils import benchmark\nbenchmark.Timer('x')"),
        ("evaluation", "f'{eval(1)}'"),
        # changing other code
        ("monkeypatch", "import numpy as np\nnp.random.seed = print"),
        ("monkeypatch", "import torch.nn as nn\nnn.Linear.forward = print"),
        ("monkeypatch", "from torch.nn import Linear\nLinear.forward = print"),
        ("monkeypatch", "import torch\nlayer = torch.nn.Linear\nlayer.forward = print"),
        ("monkeypatch", "import torch\na, b = torch.nn.Linear, 1\na.forward = print"),
        ("monkeypatch", "import numpy as np\nsetattr(np, 'mean', print)"),
        ("monkeypatch", "import numpy as np\nfor np.mean in [print]: pass"),
        ("monkeypatch", "import numpy as np\ndel np.mean"),
        ("monkeypatch", "import sys\nsys.modules['numpy'] = None"),
        ("monkeypatch", "__builtins__['print'] = None"),
        ("monkeypatch", "import builtins"),
        ("monkeypatch", "class A(metaclass=type): pass"),
        ("monkeypatch", "class A:\n    def __reduce__(self): return print, ()"),
        ("monkeypatch", "def __getattr__(name): return print"),
        # inner parts
        ("reflection", "().__class__.__base__.__subclasses__()"),
        ("reflection", "(lambda: 0).__globals__"),
        ("reflection", "globals()['open']('x')"),
        ("reflection", "import numpy as np\nvars(np)['load']"),
        ("reflection", "import numpy as np\nnp.__dict__['load']"),
        ("reflection", "try:\n    1 / 0\nexcept Exception as e:\n    e.__traceback__.tb_frame.f_back"),
        ("reflection", "import inspect"),
        ("reflection", "import sys\nsys._getframe(1)"),
        ("reflection", "import torch\ntorch._C"),
        ("reflection", "type('A', (), {})"),
        ("reflection", "match 1:\n    case object(__class__=c): pass"),
        ("reflection", "getattr(1, '__class__')"),
        ("reflection", "x = '__subclasses__'"),
        ("reflection", "'{0.__class__.__init__.__globals__}'.format(print)"),
        ("reflection", "import numpy as np\nnp.lib.stride_tricks.as_strided(np.ones(1), (9999,))"),
        ("reflection", "import datasites.wire"),
        # what a reader cannot read
        ("unreadable", "def fit(:"),
        ("unreadable", "x = 1\0"),
        ("unreadable", "(" * 500 + ")" * 500),
        ("unreadable", "x" + ".a" * 20_000),
        ("unreadable", "оs = 1"),  # Cyrillic o
        ("unreadable", "ｅval = 1"),  # fullwidth e: Python reads it as eval
        ("unreadable", "x = 1  # \u202e evil"),
        ("unreadable", "x = 'a\u200bb'"),
        ("unreadable", "# a comment\rimport os"),
        ("unreadable", "# a comment\u2028import os"),
        ("unreadable", "x = 1" + " " * 300 + "; y = 2"),
        ("unreadable", "x = '" + "QUJD" * 45 + "'"),
        ("unreadable", "x = b'" + "\\x41" * 60 + "'"),
        ("unreadable", "# -*- coding: utf-7 -*-\nx = '+AAo-'"),
        ("unreadable", "\n# vim: set fileencoding=rot13 :"),
        ("unreadable", "x = '\ufffd'"),
        ("unreadable", "from numpy import *"),
    ],
)
def test_finds(kind: str, source: str) -> None:
    assert kind in kinds(source)


@pytest.mark.parametrize(
    "source",
    [
        "import torch\nmodel = torch.nn.Linear(1, 1)\nmodel.eval()\nmodel.load_state_dict({})",
        "import torch\ntorch.backends.cudnn.deterministic = True",
        "import json\njson.dumps({}), json.loads('{}')",
        "import re\nre.compile('a').match('a')",
        "import numpy as np\nnp.select([], []), np.trace(np.eye(2)), np.random.default_rng(0).spawn(2)",
        "import pandas as pd\npd.api.types.is_bool_dtype(1)",
        "from scipy import signal\nsignal.convolve([1], [1])",
        "from sklearn.ensemble import RandomForestClassifier\nRandomForestClassifier(n_jobs=1)",
        "from torch.utils.data import DataLoader\nDataLoader([], num_workers=0)",
        "class Net:\n    def __init__(self):\n        super().__init__()\n        self.state = self.code = 1",
        "def fit(p, t, c):\n    return getattr(t, 'shape'), t['code'], t.columns",
        "def fit(p, t, c):\n    t.loc[0, 'a'] = 1\n    t.attrs = {}\n    del t['a']",
        "if __name__ == '__main__':\n    pass",
        "from __future__ import annotations\nx = 'Müller'  # groß",
        "import features\nfeatures.SEED = 3",
    ],
)
def test_honest_code_gives_no_finding(source: str) -> None:
    assert kinds(source, features="") == set()


def test_the_example_study_shows_its_plain_imports_and_nothing_else() -> None:
    found = review({path.name: path.read_text() for path in STUDY.glob("*.py")})
    assert {finding.kind for finding in found} == {"import"}
    packages = {finding.what.split(".")[0] for finding in found}
    assert packages == {"numpy", "pandas", "torch", "collections", "itertools"}
    assert packages <= set(example("standard").code.imports)


def test_says_where_and_what() -> None:
    found = review({"study.py": "import numpy as np\n\n\nnp.lib.format.open_memmap('x')\n"})
    assert found == [
        Finding("study.py", 1, "import", "numpy"),
        Finding("study.py", 4, "file", "numpy.lib.format.open_memmap"),
    ]


def test_the_studys_own_modules_are_no_packages() -> None:
    files = {
        "study.py": "import features\nfrom parts import net\nfrom parts.net import x\n",
        "features.py": "",
        "parts/__init__.py": "from . import net\n",
        "parts/net.py": "x = 1\n",
    }
    assert review(files) == []


@pytest.mark.parametrize("path", ["requests/data.json", "requests/mod.py"])
def test_a_folder_that_python_would_pass_over_hides_no_package(path: str) -> None:
    found = review({"study.py": "import requests", path: ""})
    assert Finding("study.py", 1, "import", "requests") in found


@pytest.mark.parametrize("name", ["json", "numpy", "datasites"])
def test_a_module_with_the_name_of_another_is_a_finding(name: str) -> None:
    assert "monkeypatch" in kinds(f"import {name}", **{name: ""})


@pytest.mark.parametrize(
    "change", ["import features\nfeatures.np.load = print", "from features import np\nnp.load = print"]
)
def test_other_packages_changed_through_an_own_module(change: str) -> None:
    assert "monkeypatch" in kinds(change, features="import numpy as np")


def test_other_files_are_read_too() -> None:
    assert kinds("\u202e", path="notes.txt") == {"unreadable"}
    assert kinds("", path="fast.so") == {"unreadable"}
    assert kinds("import os; this is no Python", path="notes.txt") == set()


def test_findings_cannot_write_on_the_readers_terminal() -> None:
    for finding in review({"study.py": "import \u043es\nimport os.a" + "b" * 400 + "\n#\x1b[31m\n"}):
        assert finding.what.isascii()
        assert finding.what.isprintable()
        assert len(finding.what) <= 80


def test_aliases_of_aliases_are_followed_and_too_many_are_a_finding() -> None:
    forwards = "".join(f"a{n} = a{n - 1}.b\n" for n in range(1, 200))
    assert "monkeypatch" in kinds(f"import numpy as a0\n{forwards}a199.x = 1")
    backwards = "".join(f"a{n} = a{n - 1}\n" for n in range(50, 0, -1))
    assert "unreadable" in kinds(f"import numpy as a0\n{backwards}a50.x = 1")
    assert "unreadable" in kinds("import numpy as np\n" + "".join(f"x = np.a{n}\n" for n in range(50)))


def test_more_code_than_a_person_reads_is_refused_unread() -> None:
    assert kinds("x = 1\n" * 60_000) == {"unreadable"}
