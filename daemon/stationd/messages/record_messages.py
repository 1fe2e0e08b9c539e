"""The sentences of the log journal about containers and images.

Such a sentence ends with L{SUBJECT}. L{stationd.restore} finds those of a type by how that
begins."""

from __future__ import annotations

from stationd.messages.message import Message, Phrase, table

# Containers.

CONTAINER_CREATED = Message(
    id="a2e4bea20c234f2bbbafd04052d76dcf",
    name="container-created",
    text="Create container",
    meaning="A container was made; nothing to do.",
)
CONTAINER_STARTED = Message(
    id="ddd6e441b53a429b85c74b99f8740885",
    name="container-started",
    text="Start container",
    meaning="A container was started; nothing to do.",
)
CONTAINER_STOPPED = Message(
    id="86b18d9933db4515824e3b2dc4c63861",
    name="container-stopped",
    text="Stop container",
    meaning="A container ended; with a code other than 0 see why in its own log.",
)
CONTAINER_RESTARTED = Message(
    id="47e5a4f0dc7a4de6b8cb766530466688",
    name="container-restarted",
    text="Restart container",
    meaning="A container was restarted; nothing to do.",
)
CONTAINER_START_FAILED = Message(
    id="b9ffea7681d24311a790bec5c8f9643b",
    name="container-start-failed",
    text="Container could not be started",
    meaning="A start failed; what follows is the engine's reason: mend that, then start it again.",
)
CONTAINER_DESTROYED = Message(
    id="c53677e359b644c780357f5b0562232d",
    name="container-destroyed",
    text="Destroy container",
    meaning="A container was removed; nothing to do.",
)
CONTAINER_PAUSED = Message(
    id="3a7fa194434c49e6ba9c41a976d7d263",
    name="container-paused",
    text="Pause container",
    meaning="A container was frozen; nothing to do.",
)
CONTAINER_UNPAUSED = Message(
    id="53a6f8f00aaa444f8e6ed65e102585b5",
    name="container-unpaused",
    text="Unpause container",
    meaning="A container was thawed; nothing to do.",
)
CONTAINER_PROCESS_OOM_KILLED = Message(
    id="e09d505e95184de3a694bb32c812c883",
    name="container-process-oom-killed",
    text="Container ran out of memory",
    meaning="The kernel killed a process in it; raise its limit, or find what takes so much.",
)
CONTAINER_HEALTHY = Message(
    id="cdb4c36b33b6498dbe3b0e63d5174ecd",
    name="container-healthy",
    text="Container is healthy",
    meaning="Its health check succeeds; nothing to do.",
)
CONTAINER_UNHEALTHY = Message(
    id="8e1797f3350e485c856e396ce098ae61",
    name="container-unhealthy",
    text="Container is unhealthy",
    meaning="Its health check fails; see the container's own log.",
)
CONTAINER_SIGNALLED = Message(
    id="7cb5eae7f8584af2817028550793c707",
    name="container-signalled",
    text="Kill container",
    meaning="A signal was sent to it; nothing to do.",
)
CONTAINER_RENAMED = Message(
    id="2a98c4cf2bcc4c9588754d4f33dc3bff",
    name="container-renamed",
    text="Rename container",
    meaning="It has another name; nothing to do.",
)
CRASH_LOOP_ENDED = Message(
    id="d686d8aa8e9747b0be8739578820dfe5",
    name="crash-loop-ended",
    text="Container stays up",
    meaning="It was in a crash loop and runs again; nothing to do.",
)
CONTAINER_EXITED = Message(
    id="cb1b245cc4104070af8f9e575d82f208",
    name="container-exited",
    text="Container exited{with_code}",
    meaning=(
        "It ended, and whether that was wanted is not known; with a code other than 0 see "
        "its own log."
    ),
)
CONTAINER_EXITED_ENGINE_STOPPED = Message(
    id="92129a97b0df4476abc60d6c4476a6b1",
    name="container-exited-engine-stopped",
    text="Container exited as its engine was stopped{with_code}",
    meaning="It ended because Docker was stopped; nothing to do.",
)
CONTAINER_EXITED_ENGINE_RESTARTED = Message(
    id="c9c1d5bbd7874e7d90ba3e50fc00e15d",
    name="container-exited-engine-restarted",
    text="Container exited as its engine came back{with_code}",
    meaning="Docker had been killed and ended it as it started again; start it if it should run.",
)
CONTAINER_EXITED_ON_REQUEST = Message(
    id="78ada1838b744cd2b8a3eb5692de9ba3",
    name="container-exited-on-request",
    text="Container exited as asked{with_code}",
    meaning="Somebody stopped it; nothing to do.",
)
CONTAINER_EXITED_UNREQUESTED = Message(
    id="1d1e0b9102394908935918eda90946a5",
    name="container-exited-unrequested",
    text="Container exited by itself{with_code}",
    meaning="Nobody stopped it; with a code other than 0 see its own log.",
)
CONTAINER_EXITED_ON_SIGNAL = Message(
    id="2ba127eac8aa46308751854cb6d3c08b",
    name="container-exited-on-signal",
    text="Container was ended by {signal}, code {code}",
    meaning=(
        "A signal that nobody sent through the engine ended it; look for a crash, or who sent it."
    ),
)
CONTAINER_OOM_KILLED = Message(
    id="442eac8a5d3f40c09c0ac1cec582cdf3",
    name="container-oom-killed",
    text="Container was killed by the kernel, {memory}",
    meaning="The kernel ended it for want of memory; raise its limit, or find what takes so much.",
)
CRASH_LOOP = Message(
    id="2b30648b80f24f569ad3d17406561dec",
    name="crash-loop",
    text="Container keeps ending: {exits} exits, each soon after the last, this one{with_code}",
    meaning=(
        "It is started again and again and ends each time; see its own log. Said at round "
        "numbers of exits."
    ),
)
CRASH_LOOP_OOM_KILLED = Message(
    id="1a0e9a019c9b49058c1d09176e4a0b1c",
    name="crash-loop-oom-killed",
    text=(
        "Container keeps ending: {exits} exits, each soon after the last, this one killed by "
        "the kernel, {memory}"
    ),
    meaning=(
        "It is killed for memory after each start; raise its memory limit. Said at round "
        "numbers of exits."
    ),
)
CONTAINER_EXPORTED = Message(
    id="083248bbd31f4429919d129be08669ce",
    name="container-exported",
    text="Finished export container",
    meaning="The file system of a container was exported; nothing to do.",
)

# Images.

IMAGE_DELETED = Message(
    id="e35e03072f42431fa6f7c91910a082be",
    name="image-deleted",
    text="Delete image",
    meaning="An image was removed; nothing to do.",
)
IMAGE_IMPORTED = Message(
    id="4d164596bbd64179b14fead45f4685fe",
    name="image-imported",
    text="Import image",
    meaning="An image was made of a file; nothing to do.",
)
IMAGE_LOADED = Message(
    id="99301bbcd4074a4d94a6debf73e244b4",
    name="image-loaded",
    text="Load image",
    meaning="Images were loaded out of an archive; nothing to do.",
)
IMAGE_SAVED = Message(
    id="b6bd5df02f374111a1e9889d60b3f075",
    name="image-saved",
    text="Save image",
    meaning="Images were saved into an archive; nothing to do.",
)
IMAGE_TAGGED = Message(
    id="b2510fea5d774f0386659fd20b78dfe1",
    name="image-tagged",
    text="Tag image",
    meaning="An image has one more name; nothing to do.",
)
IMAGE_UNTAGGED = Message(
    id="535deccfc5cc4c62bc4b490b1c1983e4",
    name="image-untagged",
    text="Untag image",
    meaning="An image has one name less; nothing to do.",
)
IMAGES_PRUNED = Message(
    id="bb33dd3184d246b3b1bacbbfe7210307",
    name="images-pruned",
    text="Prune images",
    meaning="Images that nobody uses were removed; nothing to do.",
)
IMAGE_PULLED = Message(
    id="962543cf68c8426aa3478f62142f9362",
    name="image-pulled",
    text="Finished to download image from {repository}",
    meaning="An image was pulled; nothing to do.",
)
IMAGE_EVENT_OTHER = Message(
    id="97a78272e4664899bc054bdb464fc977",
    name="image-event-other",
    text="{action} image",
    meaning="Something else was done to an image; nothing to do.",
)

# What follows a sentence about a container or an image.

WITH_CODE = Phrase(
    name="with-code",
    text=" with code {code}",
    meaning="The code with which it exited.",
)
WITHOUT_CODE = Phrase(
    name="without-code",
    text=" without a code",
    meaning="Nobody told the code with which it exited.",
)
ENDED_BY = Phrase(
    name="ended-by",
    text=", ended by {signal}",
    meaning="The signal that ended it.",
)
EXIT_CODE = Phrase(
    name="exit-code",
    text=", code {code}",
    meaning="The code with which it exited, or which stands for why it did not start.",
)
START_ERROR = Phrase(
    name="start-error",
    text=": {error}",
    meaning="Why it could not be started, in the engine's words.",
)
AFTER_EXITS = Phrase(
    name="after-exits",
    text=" after {exits} exits",
    meaning="How often it had ended in a row.",
)
WITH_SIGNAL = Phrase(
    name="with-signal",
    text=" with {signal}",
    meaning="The signal that was sent.",
)
RENAMED_FROM = Phrase(
    name="renamed-from",
    text=" from {old}",
    meaning="What it was called before.",
)
HOST_OUT_OF_MEMORY = Phrase(
    name="host-out-of-memory",
    text="the host was out of memory",
    meaning="Its own limit was not reached; the host had no memory left.",
)
OUT_OF_MEMORY = Phrase(
    name="out-of-memory",
    text="out of memory",
    meaning="A limit was reached.",
)
MEMORY_LIMIT = Phrase(
    name="memory-limit",
    text=", limit {size}",
    meaning="How much memory it may use.",
)
INFERRED = Phrase(
    name="inferred",
    text=", noticed later",
    meaning="It was not seen as it happened but worked out afterwards.",
)
SUBJECT = Phrase(
    name="subject",
    text=" ({parts})",
    meaning="What it is about: type, id, name.",
)

ALL = table(globals())
