/// An envelope by its shape; no key opens it.
/// - Parameter dek: how the name of the member is written.
package func envelope(_ keyID: String = "kek-v1", dek: String = "dek_wrapped") -> String {
    let wrapped = String(repeating: "A", count: 80)
    let nonce = String(repeating: "B", count: 16)
    let ciphertext = String(repeating: "C", count: 56)
    return
        #"{"version":1,"alg":"AES-256-GCM","key_id":"\#(keyID)","\#(dek)":"\#(wrapped)","nonce":"\#(nonce)","#
        + #""ciphertext":"\#(ciphertext)"}"#
}
