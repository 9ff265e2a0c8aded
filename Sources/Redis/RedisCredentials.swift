/// Who we are to the server. Shown by no description, mirror or dump.
package struct RedisCredentials: Sendable, Equatable, CustomStringConvertible, CustomDebugStringConvertible,
    CustomReflectable
{
    /// An ACL user; nil is the user `default`.
    let user: String?
    /// Empty for an ACL user with `nopass`.
    let password: String

    package init(user: String?, password: String) {
        self.user = user
        self.password = password
    }

    var command: [RedisArgument] {
        if let user { return [.text("AUTH"), .text(user), .text(password)] }
        return [.text("AUTH"), .text(password)]
    }

    package var description: String { "<credentials>" }
    package var debugDescription: String { description }
    package var customMirror: Mirror { Mirror(self, children: [:]) }
}
