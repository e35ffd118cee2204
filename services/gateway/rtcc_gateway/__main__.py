"""Starts the gateway as a process of its own: `python -m rtcc_gateway`."""

from rtcc_chassis.runner import main
from rtcc_gateway.service import serve

if __name__ == "__main__":
    main({"gateway": serve})
