import BatchQueue
import HTTPService
import HTTPTypes
import HummingbirdCore
import Logging
import NIOCore
import ServiceLifecycle

/// What the server answers. The routes that change something exist only where control is allowed.
struct DashboardRoutes: Sendable {
    let feed: PictureFeed
    let monitor: QueueMonitor
    let policy: AccessPolicy
    let allowsControl: Bool
    let logger: Logger

    /// What a wrong token costs whoever tries them out.
    private static let refusalDelay: Duration = .milliseconds(500)
    private static let longestForm = 4_096

    var routes: HTTPRoutes {
        var routes = HTTPRoutes()
        routes.get("/") { try await page($0) }
        routes.post("/login") { try await login($0) }
        routes.get("/events") { request in try await guarded(request) { try await events() } }
        routes.get("/failures") { request in try await guarded(request) { try await failures(request) } }
        routes.get("/metrics") { request in
            try await guarded(request) {
                let text = QueueMetrics(await feed.currentPicture()).text
                return Self.response(.ok, "text/plain; version=0.0.4; charset=utf-8", text)
            }
        }
        if allowsControl {
            for order in QueueMonitor.Order.allCases {
                routes.post("/control/\(order.rawValue)") { try await control($0, order) }
            }
        }
        return routes
    }

    // MARK: Looking

    private func page(_ request: Request) async throws -> Response {
        let nonce = DashboardPage.nonce()
        switch policy.mayLook(request) {
        case .foreignHost: return Self.foreignHost
        case .wantsToken:
            return Self.html(.unauthorized, DashboardPage.login(nonce: nonce, wasRefused: false), nonce)
        case .allowed:
            return Self.html(.ok, DashboardPage(allowsControl: allowsControl).html(nonce: nonce), nonce)
        }
    }

    private func guarded(_ request: Request, _ answer: () async throws -> Response) async throws -> Response {
        switch policy.mayLook(request) {
        case .foreignHost: Self.foreignHost
        case .wantsToken: Self.response(.unauthorized, "text/plain; charset=utf-8", "a token is needed\n")
        case .allowed: try await answer()
        }
    }

    private func events() async throws -> Response {
        guard let (number, messages) = await feed.listen() else {
            return Self.response(.serviceUnavailable, "text/plain; charset=utf-8", "too many viewers\n")
        }
        let feed = feed
        var response = Self.response(.ok, "text/event-stream", "")
        response.body = ResponseBody { writer in
            do {
                for await message in messages.cancelOnGracefulShutdown() {
                    try await writer.write(ByteBuffer(string: message))
                }
                try await writer.finish(nil)
            } catch {
                // The browser has gone.
            }
            await feed.leave(number)
        }
        return response
    }

    private func failures(_ request: Request) async throws -> Response {
        let text = request.uri.queryParameters["search"].map(String.init) ?? ""
        do {
            let json = try ServerSentEvent.json(try await FailureSearch(text, in: monitor))
            return Self.response(.ok, "application/json", json)
        } catch {
            return Self.response(.serviceUnavailable, "text/plain; charset=utf-8", "Redis is away\n")
        }
    }

    private func login(_ request: Request) async throws -> Response {
        let nonce = DashboardPage.nonce()
        // A form is written as a query is, but for its spaces; the token has none.
        let form = String(buffer: try await request.body.collect(upTo: Self.longestForm))
        guard let value = URI("/?\(form)").queryParameters["token"] else {
            return Self.response(.badRequest, "text/plain; charset=utf-8", "a token is needed\n")
        }
        guard let token = policy.token, token.matches(value) else {
            try await Task.sleep(for: Self.refusalDelay)
            return Self.html(.unauthorized, DashboardPage.login(nonce: nonce, wasRefused: true), nonce)
        }
        var response = Self.response(.seeOther, "text/plain; charset=utf-8", "")
        response.headers[.location] = "./"
        response.headers[.setCookie] = "\(AccessPolicy.cookie)=\(value); HttpOnly; SameSite=Strict; Path=/"
        return response
    }

    // MARK: Control

    private func control(_ request: Request, _ order: QueueMonitor.Order) async throws -> Response {
        if case .foreignHost = policy.mayLook(request) { return Self.foreignHost }
        guard policy.mayControl(request) else {
            try await Task.sleep(for: Self.refusalDelay)
            return Self.response(.unauthorized, "text/plain; charset=utf-8", "a token is needed\n")
        }
        do {
            guard try await monitor.give(order) else {
                return Self.response(.conflict, "text/plain; charset=utf-8", "No job runs on this queue.")
            }
        } catch {
            return Self.response(.serviceUnavailable, "text/plain; charset=utf-8", "Redis is away.")
        }
        logger.notice("\(order.rawValue) was ordered from the dashboard")
        return Self.response(.ok, "text/plain; charset=utf-8", "ok\n")
    }

    // MARK: Responses

    private static var foreignHost: Response {
        response(
            .misdirectedRequest, "text/plain; charset=utf-8",
            "Open it as http://127.0.0.1 or http://localhost, or let it listen on another address, with a token.\n"
        )
    }

    private static func html(_ status: HTTPResponse.Status, _ text: String, _ nonce: String) -> Response {
        var made = response(status, "text/html; charset=utf-8", text)
        made.headers[.contentSecurityPolicy] = DashboardPage.contentSecurityPolicy(nonce: nonce)
        return made
    }

    private static func response(_ status: HTTPResponse.Status, _ type: String, _ text: String) -> Response {
        var headers: HTTPFields = [
            .contentType: type, .cacheControl: "no-store", .xContentTypeOptions: "nosniff",
        ]
        if let referrerPolicy = HTTPField.Name("Referrer-Policy") { headers[referrerPolicy] = "no-referrer" }
        return Response(status, text, headers: headers)
    }
}
