package import HTTPTypes
package import HummingbirdCore
import NIOCore

extension Response {
    /// An answer that is there whole.
    package init(_ status: HTTPResponse.Status, _ text: String, headers: HTTPFields) {
        self.init(
            status: status, headers: headers, body: ResponseBody(byteBuffer: ByteBuffer(string: text)))
    }
}
