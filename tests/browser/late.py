"""A timer that rings too late, as it does by itself now and then, the oftener the busier the machine."""

from playwright.sync_api import Page, WebSocketRoute
from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg


class LateTimer:
    """Between browser and server: what a moving page's timer asked for last is asked again as the next page begins.

    Attributes:
        rings: how often the timer of the page that is open has rung.
        late: how often it rang too late.
        references: messages that only name one which the browser is thought to have kept.
    """

    def __init__(self, page: Page) -> None:
        self.rings = 0
        self.late = 0
        self.references = 0
        self._ring: bytes | str = b""
        self._page = ""
        page.route_web_socket("**/_stcore/stream", self._stand_between)

    def _stand_between(self, browser: WebSocketRoute) -> None:
        server = browser.connect_to_server()

        def to_server(message: bytes | str) -> None:
            if isinstance(message, bytes):
                asked = BackMsg.FromString(message).rerun_script
                if asked.is_auto_rerun:
                    self._ring, self._page = message, asked.page_script_hash
                    self.rings += 1
            server.send(message)

        def to_browser(message: bytes | str) -> None:
            if isinstance(message, bytes):
                told = ForwardMsg.FromString(message)
                self.references += told.WhichOneof("type") == "ref_hash"
                if self.rings and told.HasField("new_session") and told.new_session.page_script_hash != self._page:
                    server.send(self._ring)
                    self.rings = 0
                    self.late += 1
            browser.send(message)

        browser.on_message(to_server)
        server.on_message(to_browser)
