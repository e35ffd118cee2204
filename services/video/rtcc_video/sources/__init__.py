"""Where pictures come from: cameras over RTSP, and clips in files."""
