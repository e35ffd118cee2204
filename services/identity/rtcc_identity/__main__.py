"""`python -m rtcc_identity`: identity alone in a process."""

from rtcc_chassis.runner import main
from rtcc_identity.service import serve

if __name__ == "__main__":
    main({"identity": serve})
