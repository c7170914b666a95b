"""All of Flower that a `NumPyClient` needs: its base class. So a hospital need not install Flower, nor allow it.

A study's own folder comes first in its imports, so this stands in for Flower even where that is installed.
"""

from . import client as client
