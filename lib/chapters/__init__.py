"""What single chapters of the book compute beyond the paper's figures. A new one is a file here."""

import pkgutil

__all__ = [module.name for module in pkgutil.iter_modules(__path__)]
