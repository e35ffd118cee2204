"""`python -m rtcc_airspace`: airspace alone in a process."""

from rtcc_airspace.service import serve
from rtcc_chassis.runner import main

if __name__ == "__main__":
    main({"airspace": serve})
