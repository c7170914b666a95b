"""Names that a reader of a study should stop at, by what they do.

The tables err on the side of a finding: a study that trains a model needs none of these.
"""

from __future__ import annotations

from policies.code.finding import Kind


def _table(entries: dict[Kind, str]) -> dict[str, Kind]:
    return {name: kind for kind, names in entries.items() for name in names.split()}


def _names(text: str) -> frozenset[str]:
    return frozenset(text.split())


# top-level modules, and parts of that name inside other packages: torch.multiprocessing, numpy.ctypeslib, random._os
MODULES = _table(
    {
        "file": """bz2 codecs configparser csv dbm fileinput filecmp fsspec glob gzip h5py io linecache logging lzma
            mmap netrc npyio obstore onnx openpyxl pathlib posixpath pyarrow safetensors serialization shelve shutil
            sqlalchemy sqlite3 tarfile tempfile tensorboard tokenize zipfile""",
        "process": """_thread atexit concurrent faulthandler joblib loky multiprocessing nt os platform posix psutil
            pty queue resource sched signal subprocess threading""",
        "network": """aiohttp asyncio boto3 distributed email ftplib http httpx hub imaplib model_zoo poplib pycurl
            requests select selectors smtplib socket socketserver ssl syft syft_job syft_rds telnetlib urllib urllib3
            webbrowser websockets wsgiref xmlrpc""",
        "evaluation": """ast bdb cffi cloudpickle code codeop copyreg cpp_extension ctypes ctypeslib dill distutils
            doctest f2py imp importlib marshal numba numexpr package pdb pickle pickletools pkgutil py_compile pydoc
            runpy site timeit zipimport""",
        "monkeypatch": "__builtin__ builtins mock unittest",
        "reflection": """dis gc inspect opcode symtable sys sysconfig trace traceback tracemalloc types weakref
            datasites policies researcher""",
    }
)

# ordinary functions have these names too: numpy.select, torch.trace, scipy.signal, pandas.api.types
_ORDINARY = _names("code queue select signal site trace types")
PARTS = {name: kind for name, kind in MODULES.items() if name not in _ORDINARY}

# parts of that name are a finding whatever they are a part of
ANYWHERE = _names(
    """builtins cpp_extension ctypes ctypeslib importlib inspect marshal multiprocessing os pathlib pickle posix shutil
    socket subprocess sys threading urllib"""
)

# functions and methods, whatever they are called on
ATTRIBUTES = _table(
    {
        "file": """DataSource ExcelWriter HDFStore chmod dump dump_svmlight_file export_chrome_trace export_stacks
            from_file fromfile fromregex genfromtxt glob hardlink_to iterdir load load_files load_svmlight_file loadtxt
            memmap mkdir open open_memmap read_bytes read_csv read_excel read_feather read_hdf read_html read_json
            read_orc read_parquet read_pickle read_sql read_table read_text read_xml readlink rglob rmdir save savefig
            savetxt savez savez_compressed symlink_to to_clipboard to_csv to_excel to_feather to_gbq to_hdf to_iceberg
            to_json to_orc to_parquet to_pickle to_sql to_stata to_xml tofile touch unlink write_bytes write_text""",
        "process": "Popen ProcessPoolExecutor ThreadPoolExecutor",
        "network": "create_connection download_url_to_file load_state_dict_from_url urlopen urlretrieve",
        "evaluation": """CDLL CodeType ForwardRef FunctionType LowLevelCallable attrgetter exec_module get_type_hints
            import_module load_inline load_library methodcaller""",
        "reflection": """ag_code ag_frame as_strided cr_code cr_frame currentframe data_ptr f_back f_builtins f_globals
            f_locals from_address get_objects get_referents get_referrers gi_code gi_frame mro tb_frame tb_next""",
    }
)

# what is ambiguous without its package
PATHS = _table(
    {
        "process": "torch.compile torch.utils.bottleneck torch.utils.collect_env torch.utils.hipify",
        "evaluation": """pandas.core pandas.eval torch.fx torch.jit.CompilationUnit torch.utils.benchmark
            torch.utils.throughput_benchmark""",
        "monkeypatch": """sys.meta_path sys.modules sys.path sys.path_hooks sys.setprofile sys.settrace torch.library
            torch.overrides""",
        "reflection": "numpy.testing torch.testing",
    }
)

# names that Python knows without an import
BUILTINS = _table(
    {
        "file": "open __file__",
        "evaluation": "__import__ breakpoint compile eval exec",
        "monkeypatch": "__build_class__ __builtins__",
        "reflection": "__loader__ __path__ __spec__ globals locals vars",
    }
)

# double-underscore names that are part of everyday Python; all others are a finding
PLAIN_DUNDERS = _names(
    """__abs__ __add__ __all__ __and__ __annotations__ __array__ __author__ __bool__ __call__ __contains__ __copy__
    __debug__ __deepcopy__ __doc__ __enter__ __eq__ __exit__ __float__ __floordiv__ __format__ __future__ __ge__
    __getitem__ __gt__ __hash__ __iadd__ __imul__ __index__ __init__ __int__ __invert__ __isub__ __iter__ __le__ __len__
    __lt__ __main__ __match_args__ __matmul__ __mod__ __module__ __mul__ __name__ __ne__ __neg__ __new__ __next__ __or__
    __pos__ __post_init__ __pow__ __qualname__ __radd__ __repr__ __reversed__ __rmatmul__ __rmul__ __rsub__ __rtruediv__
    __setitem__ __slots__ __str__ __sub__ __truediv__ __version__ __xor__"""
)

# of any package: pandas.read_csv and its siblings, sklearn.datasets.fetch_openml and its own
PREFIXES: dict[str, Kind] = {"read_": "file", "fetch_": "network"}
EXEMPT = frozenset({"json.dump", "json.load"})  # they need an open file, and opening one is a finding
SETTINGS = "torch.backends."  # torch.backends.cudnn.deterministic = True is how torch is configured
