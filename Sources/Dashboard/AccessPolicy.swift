import HTTPTypes
import HummingbirdCore

/// Who may look, and who may give orders.
struct AccessPolicy: Sendable {
    let token: AccessToken?
    /// Listening on a loopback address without asking for the token: only under a loopback name then, since a page
    /// from elsewhere can point a name of its own at 127.0.0.1.
    let isOpenOnLoopback: Bool

    static let cookie = "reencrypt_dashboard"

    enum Answer {
        case allowed
        case wantsToken
        /// Asked for under a name that is not this machine's own.
        case foreignHost
    }

    func mayLook(_ request: Request) -> Answer {
        if isOpenOnLoopback { return isLoopbackName(request.head.authority ?? "") ? .allowed : .foreignHost }
        guard let token else { return .wantsToken }
        if let offered = bearer(request), token.matches(offered) { return .allowed }
        if let value = cookie(request), token.matches(value) { return .allowed }
        return .wantsToken
    }

    /// Orders want the token in a header of their own, which no page from elsewhere can set.
    func mayControl(_ request: Request) -> Bool {
        guard let token, let offered = bearer(request) else { return false }
        return token.matches(offered)
    }

    private func bearer(_ request: Request) -> Substring? {
        guard let value = request.headers[.authorization], value.hasPrefix("Bearer ") else { return nil }
        return value.dropFirst("Bearer ".count)
    }

    /// The dashboard's own of the cookies that a browser sends as `a=1; b=2`.
    private func cookie(_ request: Request) -> Substring? {
        for pairs in request.headers[values: .cookie] {
            for pair in pairs.split(separator: ";") {
                let pair = pair.drop { $0 == " " }
                if pair.hasPrefix("\(Self.cookie)=") { return pair.dropFirst(Self.cookie.count + 1) }
            }
        }
        return nil
    }

    private func isLoopbackName(_ authority: String) -> Bool {
        let host =
            authority.hasPrefix("[") ? authority.prefix { $0 != "]" } + "]" : authority.prefix { $0 != ":" }
        return ["localhost", "127.0.0.1", "[::1]"].contains(String(host))
    }
}
