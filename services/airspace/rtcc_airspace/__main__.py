"""`python -m rtcc_airspace`: airspace alone in a process."""

from rtcc_chassis.runner import main
from rtcc_airspace.service import serve

if __name__ == "__main__":
    main({"airspace": serve})
