"""Makes the fixtures of the Docker decoder: one of everything that an engine tells, from a
real one.

C{python -m tests.functional.lab python -m tests.functional.record_events} writes
L{EVENTS} and L{CONTAINERS} anew.
"""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
import time

from tests.functional import lab
from tests.functional.daemon import eventually
from tests.test_layers import ROOT

EVENTS = os.path.join(ROOT, "tests/plugins/docker_events.json")

CONTAINERS = os.path.join(ROOT, "tests/plugins/docker_containers.json")

NAMES = ("named", "oom", "sick", "loop", "idle", "web", "paused")

SCRIPT = """
docker run -d --name plain --label 'a=b: "c" ü' {sleep}
docker exec plain true
docker pause plain
docker unpause plain
docker restart -t 0 plain
docker top plain
docker update --memory 64m --memory-swap 64m plain
docker cp plain:/bin/busybox {directory}/busybox
docker cp {directory}/busybox plain:/tmp/busybox
docker stop -t 0 plain
docker start plain
docker kill -s KILL plain
docker rename plain named
docker run --name oom -m 16m {image} tail /dev/zero
docker run -d --name sick --health-cmd false --health-interval 1s --health-retries 1 {sleep}
docker run -d --name loop --restart on-failure:2 {image} false
docker create --name idle {image} true
docker run -d --name web -p 127.0.0.1:0:80 -p 127.0.0.1:0:53/udp {sleep}
docker run -d --name paused {sleep}
docker run --rm {image} true
docker run --name wrong {image} /no/such/program
docker rm wrong
docker export idle > {directory}/idle.tar
docker import {directory}/idle.tar imported:latest
docker commit named committed:latest
docker tag {image} {registry}/some/bb:v1
docker push {registry}/some/bb:v1
docker rmi {registry}/some/bb:v1
docker pull {registry}/some/bb:v1
docker save {image} > {directory}/image.tar
docker rmi {registry}/some/bb:v1 imported:latest committed:latest
docker load < {directory}/image.tar
docker volume create kept
docker volume rm kept
docker network create --driver bridge --subnet 172.31.251.0/24 n
docker network connect n web
docker network disconnect n web
docker network rm n
docker image prune -f
docker pause paused
"""


def main() -> None:
    """Do everything, and keep what the engine told."""
    import docker

    url = lab.docker_url()
    client = docker.APIClient(base_url=url, version="auto")
    environment = os.environ | {"DOCKER_HOST": url}
    began = f"{time.time():.9f}"
    with tempfile.TemporaryDirectory() as directory:
        sleep = f"{lab.IMAGE} sleep 1000"
        script = SCRIPT.format(
            sleep=sleep, image=lab.IMAGE, registry=lab.registry(), directory=directory
        )
        for line in script.strip().splitlines():
            subprocess.run(["sh", "-c", line], env=environment, capture_output=True, check=False)
    eventually(lambda: client.inspect_container("sick")["State"]["Health"]["Status"] == "unhealthy")
    eventually(lambda: client.inspect_container("loop")["RestartCount"] == 2)
    time.sleep(0.5)
    containers = [client.inspect_container(name) for name in NAMES]
    subprocess.run(["docker", "rm", "-f", *NAMES], env=environment, capture_output=True, check=True)
    client.prune_containers()
    events = list(client.events(since=began, until=f"{time.time():.9f}", decode=True))
    for path, found in ((EVENTS, events), (CONTAINERS, containers)):
        with open(path, "w", encoding="utf-8") as file:
            file.write(
                "[\n" + ",\n".join(json.dumps(one, sort_keys=True) for one in found) + "\n]\n"
            )
    print(len(events), sorted({(one["Type"], one["Action"].partition(":")[0]) for one in events}))


if __name__ == "__main__":
    main()
