/// How a server proves itself, and we to it. The files are read anew on every dial, so a renewed certificate
/// needs no restart.
package struct TLSSettings: Sendable, Equatable {
    /// PEM file of the authorities that are trusted. With neither this nor `authorityFolder`, the system's
    /// (or those of `SSL_CERT_FILE` and `SSL_CERT_DIR`) are.
    package var authorityFile: String?
    /// Folder of such files, named by hash (`openssl rehash`).
    package var authorityFolder: String?
    /// PEM file of our certificate and its chain, for servers that ask for one.
    package var certificateFile: String?
    /// PEM file of its key, without a passphrase; nil where it stands in `certificateFile`.
    package var keyFile: String?

    package init() {}
}
