"""Makes C{twistd stationd} a command."""

from twisted.application.service import ServiceMaker

stationd = ServiceMaker(
    "stationd",
    "stationd.tap",
    "Record what happens to the Docker and LXC containers of this host.",
    "stationd",
)
