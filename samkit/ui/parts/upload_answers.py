"""Uploads that are not lost while a page runs.

Before a browser sends a file it asks the server where to. Streamlit (1.67) empties the queue of what is to be sent to a
browser whenever a page's run begins, and with it an answer that still lies there: the file is then never sent, and
nobody says so. The busier the server, the longer answers lie there.
"""

from contextlib import suppress
from functools import lru_cache
from typing import Any

ANSWER = "file_urls_response"


@lru_cache
def keep_upload_answers() -> None:
    """Leave those answers in the queue. Where Streamlit has no queue of that kind, all stays as it is."""
    with suppress(ImportError, AttributeError):
        from streamlit.runtime.forward_msg_queue import ForwardMsgQueue

        clear = ForwardMsgQueue.clear

        def clear_but_answers(
            queue: ForwardMsgQueue, retain_lifecycle_msgs: bool = False, *more: Any, **named: Any
        ) -> None:
            answers = [message for message in queue._queue if message.WhichOneof("type") == ANSWER]
            clear(queue, retain_lifecycle_msgs, *more, **named)
            # Without the flag they have just been sent.
            if retain_lifecycle_msgs:
                queue._queue += answers

        ForwardMsgQueue.clear = clear_but_answers  # type: ignore[assignment, method-assign]
