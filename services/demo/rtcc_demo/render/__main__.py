"""`python -m rtcc_demo.render SCENE FILE SEED`: draws one camera clip. Started by `rtcc_demo.render.clips.ensure_clips`."""

import sys
from pathlib import Path

from rtcc_demo.render.clips import draw_clip

if __name__ == "__main__":
    draw_clip(sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]))
