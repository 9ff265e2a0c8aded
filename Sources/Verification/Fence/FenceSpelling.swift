import Catalog

/// Values under a key id, one for each way to write the label down: what a fence has to refuse.
enum FenceSpelling {
    /// The first one is as this tool writes it.
    static func all(of keyID: String, for type: ColumnType) -> [String] {
        let head = #"{"version":1,"alg":"AES-256-GCM","#
        let label = #""key_id":"\#(keyID)""#
        let other = #""key_id":"\#(keyID)0""#
        let lower = escaped(keyID, uppercase: false)
        let upper = escaped(keyID, uppercase: true)
        var values = [
            "\(head)\(label),\"dek_wrapped\":\"\"}",
            "{\"dek_wrapped\":\"\",\(label),\"alg\":\"AES-256-GCM\",\"version\":1}",
            "{ \"alg\" : \"AES-256-GCM\",\n\t\"key_id\" :\t\r\n \"\(keyID)\" }",
            "\(head)\"\(escaped("key_id", uppercase: false))\":\"\(keyID)\"}",
            "\(head)\"\(escaped("key_id", uppercase: true))\":\"\(keyID)\"}",
            "\(head)\"key_id\":\"\(lower)\"}",
            "{\"key_id\":\"\(upper)\",\"version\":1}",
            #"{"\u006bey_id":"\#(lower.prefix(6))\#(keyID.dropFirst())"}"#,
            #"{"a":{\#(other)},"b":[{"c":"}]\\\""}],\#(label),"d":{\#(other)}}"#,
            // The last one of two is the one that jsonb keeps.
            "\(head)\(other),\"dek_wrapped\":\"\",\(label)}",
            "\(head)\(other),\"dek_wrapped\":\"\",\"key\\u005fid\":\"\(upper)\"}",
        ]
        if type != .jsonb {
            values += [
                "\(head)\(label),\"dek_wrapped\":\"\",\(other)}",
                "\(head)\(other),\(label),\(other),\"dek_wrapped\":\"\"}",
            ]
        }
        return values
    }

    private static func escaped(_ text: String, uppercase: Bool) -> String {
        text.utf8.map { byte in
            let hex = String(byte, radix: 16, uppercase: uppercase)
            return "\\u00" + (byte < 16 ? "0" : "") + hex
        }.joined()
    }
}
