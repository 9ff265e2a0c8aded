import BatchQueue
import HTTPTypes
import Hummingbird
import Logging
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

    func add(to router: Router<BasicRequestContext>) {
        router.get("/") { request, _ in try await self.page(request) }
        router.post("login") { request, _ in try await self.login(request) }
        router.get("events") { request, _ in try await self.guarded(request) { try await self.events() } }
        router.get("failures") { request, _ in
            try await self.guarded(request) { try await self.failures(request) }
        }
        router.get("metrics") { request, _ in
            try await self.guarded(request) {
                let text = QueueMetrics(await self.feed.currentPicture()).text
                return Self.response(.ok, "text/plain; version=0.0.4; charset=utf-8", text)
            }
        }
        if allowsControl {
            router.post("control/:order") { request, context in
                try await self.control(request, context.parameters.require("order"))
            }
        }
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
        let form = String(buffer: try await request.body.collect(upTo: Self.longestForm))
        let value = try URLEncodedFormDecoder().decode(LoginForm.self, from: form).token
        guard let token = policy.token, token.matches(value) else {
            try await Task.sleep(for: Self.refusalDelay)
            return Self.html(.unauthorized, DashboardPage.login(nonce: nonce, wasRefused: true), nonce)
        }
        var response = Self.response(.seeOther, "text/plain; charset=utf-8", "")
        response.headers[.location] = "./"
        response.headers[.setCookie] = "\(AccessPolicy.cookie)=\(value); HttpOnly; SameSite=Strict; Path=/"
        return response
    }

    private struct LoginForm: Decodable {
        let token: String
    }

    // MARK: Control

    private func control(_ request: Request, _ name: String) async throws -> Response {
        if case .foreignHost = policy.mayLook(request) { return Self.foreignHost }
        guard policy.mayControl(request) else {
            try await Task.sleep(for: Self.refusalDelay)
            return Self.response(.unauthorized, "text/plain; charset=utf-8", "a token is needed\n")
        }
        guard let order = QueueMonitor.Order(rawValue: name) else {
            return Self.response(.notFound, "text/plain; charset=utf-8", "no such order\n")
        }
        do {
            guard try await monitor.give(order) else {
                return Self.response(.conflict, "text/plain; charset=utf-8", "No job runs on this queue.")
            }
        } catch {
            return Self.response(.serviceUnavailable, "text/plain; charset=utf-8", "Redis is away.")
        }
        logger.notice("\(name) was ordered from the dashboard")
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
        return Response(
            status: status, headers: headers, body: ResponseBody(byteBuffer: ByteBuffer(string: text)))
    }
}
