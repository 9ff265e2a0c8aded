import Hummingbird
import Rotation

/// A verdict as an HTTP answer: 200 or 503, and a JSON object for a person.
enum HealthAnswer {
    private struct Body: ResponseEncodable {
        let status: String
        let reason: String?
    }

    static func response(_ verdict: Health.Verdict) -> EditedResponse<some ResponseGenerator> {
        switch verdict {
        case .healthy: EditedResponse(status: .ok, response: Body(status: "ok", reason: nil))
        case .unhealthy(let reason):
            EditedResponse(
                status: .serviceUnavailable, response: Body(status: "unavailable", reason: reason))
        }
    }
}
