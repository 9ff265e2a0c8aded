/// The page as one document: no request goes anywhere else, and nothing runs that is not in it.
struct DashboardPage {
    let allowsControl: Bool

    /// - Parameter nonce: drawn for this response; the policy lets nothing run or style that does not carry it.
    func html(nonce: String) -> String {
        let scripts = [
            PackageResources.format_js, PackageResources.chart_js, PackageResources.progress_js,
            PackageResources.sections_js,
        ]
        let control = allowsControl ? [PackageResources.controls_js] : []
        return Self.filled(
            PackageResources.page_html,
            [
                "nonce": nonce, "style": Self.text(PackageResources.style_css),
                "controls": allowsControl ? Self.text(PackageResources.controls_html) : "",
                "dialog": allowsControl ? Self.text(PackageResources.dialog_html) : "",
                "script": (scripts + control + [PackageResources.main_js]).map(Self.text).joined(
                    separator: "\n"),
            ])
    }

    static func login(nonce: String, wasRefused: Bool) -> String {
        filled(
            PackageResources.login_html,
            [
                "nonce": nonce, "style": text(PackageResources.style_css),
                "refusal": wasRefused ? "This token is not the dashboard’s." : "",
            ])
    }

    static func contentSecurityPolicy(nonce: String) -> String {
        "default-src 'none'; script-src 'nonce-\(nonce)'; style-src 'nonce-\(nonce)'; connect-src 'self'; "
            + "img-src data:; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
    }

    static func nonce() -> String {
        String(UInt64.random(in: .min ... .max), radix: 36)
            + String(UInt64.random(in: .min ... .max), radix: 36)
    }

    private static func text(_ bytes: [UInt8]) -> String { String(decoding: bytes, as: UTF8.self) }

    /// Replaces each `{{name}}` of the template, once through: what is put in is not looked at again.
    private static func filled(_ template: [UInt8], _ values: [String: String]) -> String {
        var filled = ""
        var rest = text(template)[...]
        while let start = rest.firstRange(of: "{{"), let end = rest[start.upperBound...].firstRange(of: "}}")
        {
            filled +=
                rest[..<start.lowerBound] + (values[String(rest[start.upperBound..<end.lowerBound])] ?? "")
            rest = rest[end.upperBound...]
        }
        return filled + rest
    }
}
