"""`python -m rtcc_registry`: registry alone in a process."""

from rtcc_chassis.runner import main
from rtcc_registry.service import serve

if __name__ == "__main__":
    main({"registry": serve})
