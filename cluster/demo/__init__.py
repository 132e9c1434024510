"""The demo: a synthetic traffic world with known truth, and cameras that play it over RTSP."""
