"""What tells a browser where to send a file is not thrown away when a page's run begins."""

from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
from streamlit.runtime.forward_msg_queue import ForwardMsgQueue

from samkit.ui.parts.upload_answers import keep_upload_answers


def test_an_answer_outlives_the_run_that_begins_and_is_sent_once():
    keep_upload_answers()
    queue, answer, drawn = ForwardMsgQueue(), ForwardMsg(), ForwardMsg()
    answer.file_urls_response.response_id = "which"
    drawn.delta.new_element.text.body = "of the run before"
    queue.enqueue(drawn)
    queue.enqueue(answer)
    queue.clear(retain_lifecycle_msgs=True)
    assert [message.file_urls_response.response_id for message in queue.flush()] == ["which"]
    assert queue.flush() == []
