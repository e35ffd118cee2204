"""Starts the video service alone, as a pod does."""

from rtcc_chassis.runner import main
from rtcc_video.service import serve

if __name__ == "__main__":
    main({"video": serve})
