import HTTPTypes
package import HummingbirdCore
import NIOCore
import NIOHTTP1

/// What a server answers, by method and path. Paths are compared whole; `/ready/` is `/ready`.
package struct HTTPRoutes: Sendable {
    package typealias Handler = @Sendable (Request) async throws -> Response

    private var handlers: [String: [HTTPRequest.Method: Handler]] = [:]

    package init() {}

    /// - Parameter path: begins with `/` and does not end with it, but for `/` alone.
    package mutating func get(_ path: String, _ handler: @escaping Handler) {
        handlers[path, default: [:]][.get] = handler
    }

    /// - Parameter path: as in `get`.
    package mutating func post(_ path: String, _ handler: @escaping Handler) {
        handlers[path, default: [:]][.post] = handler
    }

    /// - Returns: 404 for a path that nobody added, 405 for another method of one, 413 for a body that a handler found
    ///   too long, 500 where a handler threw anything else.
    /// - Throws: the parser's error, which ends the connection with 400.
    func response(to request: Request) async throws -> Response {
        let path = request.uri.path
        guard let methods = handlers[path.count > 1 && path.hasSuffix("/") ? String(path.dropLast()) : path]
        else { return Response(status: .notFound) }
        guard let handler = methods[request.method] else {
            let allowed = methods.keys.map(\.rawValue).sorted().joined(separator: ", ")
            return Response(status: .methodNotAllowed, headers: [.allow: allowed])
        }
        do {
            return try await handler(request)
        } catch is NIOTooManyBytesError {
            return Response(status: .contentTooLarge)
        } catch let error as HTTPParserError {
            throw error
        } catch {
            return Response(status: .internalServerError)
        }
    }
}
