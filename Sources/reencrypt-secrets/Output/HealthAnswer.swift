import FoundationEssentials
import HTTPService
import HTTPTypes
import HummingbirdCore
import Rotation

/// A verdict as an HTTP answer: 200 or 503, and a JSON object for a person.
enum HealthAnswer {
    private struct Body: Encodable {
        let status: String
        let reason: String?
    }

    static func response(_ verdict: Health.Verdict) throws -> Response {
        switch verdict {
        case .healthy: try response(.ok, Body(status: "ok", reason: nil))
        case .unhealthy(let reason):
            try response(.serviceUnavailable, Body(status: "unavailable", reason: reason))
        }
    }

    private static func response(_ status: HTTPResponse.Status, _ body: Body) throws -> Response {
        Response(
            status, String(decoding: try JSONEncoder().encode(body), as: UTF8.self),
            headers: [.contentType: "application/json; charset=utf-8"])
    }
}
