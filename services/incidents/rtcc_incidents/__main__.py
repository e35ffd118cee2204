"""`python -m rtcc_incidents`: incidents alone in a process."""

from rtcc_chassis.runner import main
from rtcc_incidents.service import serve

if __name__ == "__main__":
    main({"incidents": serve})
