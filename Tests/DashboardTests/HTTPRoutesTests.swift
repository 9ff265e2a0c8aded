import HTTPTypes
import HummingbirdCore
import NIOCore
import Testing

@testable import HTTPService

struct HTTPRoutesTests {
    private struct Refused: Error {}

    private static let routes: HTTPRoutes = {
        var routes = HTTPRoutes()
        routes.get("/") { _ in Response(status: .ok) }
        routes.get("/ready") { _ in Response(status: .ok) }
        routes.post("/login") { request in
            _ = try await request.body.collect(upTo: 4)
            return Response(status: .ok)
        }
        routes.get("/broken") { _ in throw Refused() }
        return routes
    }()

    private func answer(_ method: HTTPRequest.Method, _ path: String, body: String = "") async throws
        -> Response
    {
        let head = HTTPRequest(method: method, scheme: "http", authority: "localhost", path: path)
        return try await Self.routes.response(
            to: Request(head: head, body: RequestBody(buffer: ByteBuffer(string: body))))
    }

    @Test(arguments: [
        (HTTPRequest.Method.get, "/", 200), (.get, "/ready", 200), (.get, "/ready/", 200),
        (.get, "/ready?verbose=1", 200), (.get, "/readyx", 404), (.get, "/ready/now", 404),
        (.get, "//ready", 404),
        (.get, "", 200), (.post, "/ready", 405), (.get, "/login", 405), (.get, "/broken", 500),
    ])
    func aPathIsComparedWhole(_ method: HTTPRequest.Method, _ path: String, _ status: Int) async throws {
        #expect(try await answer(method, path).status.code == status)
    }

    @Test func anotherMethodIsToldWhichOnesThereAre() async throws {
        #expect(try await answer(.delete, "/login").headers[.allow] == "POST")
    }

    @Test func aBodyThatIsTooLongIsRefused() async throws {
        #expect(try await answer(.post, "/login", body: "1234").status == .ok)
        #expect(try await answer(.post, "/login", body: "12345").status == .contentTooLarge)
    }
}
