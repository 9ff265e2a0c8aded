/// How a value begins that this module, and most other writers, make: all up to and including the key id.
///
/// A value that begins so is surely labelled with that key, so SQL can classify it without parsing. A value
/// that does not may be labelled with it all the same.
package enum CanonicalPrefix {
    /// `{"version":1,"alg":"AES-256-GCM","key_id":"<id>",`
    package static func bytes(for id: KeyID) -> [UInt8] {
        Array("{\"version\":1,\"alg\":\"AES-256-GCM\",\"key_id\":\"\(id)\",".utf8)
    }
}
