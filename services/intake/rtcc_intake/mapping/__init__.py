"""The connector kit: a source's own JSON read by a declared mapping instead of code (docs/integrators/add-a-source.md).

A mapping translates into the neutral JSON that the built-in adapters read, so what comes out has passed the same rules.
"""

from rtcc_intake.mapping.declaration import Mapping, checked_mapping
from rtcc_intake.mapping.differences import differences
from rtcc_intake.mapping.reading import read_mapped

__all__ = ["Mapping", "checked_mapping", "differences", "read_mapped"]
