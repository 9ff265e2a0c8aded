import HTTPService
import HTTPTypes
import HummingbirdCore

/// Metrics as an HTTP answer, in the text-based exposition format.
enum MetricsAnswer {
    static func response(_ text: String) -> Response {
        Response(.ok, text, headers: [.contentType: "text/plain; version=0.0.4; charset=utf-8"])
    }
}
