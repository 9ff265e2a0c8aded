import HTTPTypes
import HummingbirdCore
import NIOCore

/// Metrics as an HTTP answer, in the text-based exposition format.
enum MetricsAnswer {
    static func response(_ text: String) -> Response {
        Response(
            status: .ok, headers: [.contentType: "text/plain; version=0.0.4; charset=utf-8"],
            body: ResponseBody(byteBuffer: ByteBuffer(string: text)))
    }
}
