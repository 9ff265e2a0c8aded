import HTTPTypes
import Hummingbird

/// Metrics as an HTTP answer, in the text-based exposition format.
enum MetricsAnswer {
    static func response(_ text: String) -> EditedResponse<String> {
        EditedResponse(
            headers: [.contentType: "text/plain; version=0.0.4; charset=utf-8"], response: text)
    }
}
