package codes

import "github.com/tributary-cdc/tributary/cmd/internal/language"

// protected are the codes of how connections are protected and who may use the log.
var protected = map[string]map[language.Language]explanation{
	"CONFIG_PLAINTEXT": {
		english: {"a password would go over the network for everybody to read", "set tls.mode to verify-full or verify-ca, or take a SCRAM mechanism"},
		chinese: {"口令会以明文经过网络", "把 tls.mode 设为 verify-full 或 verify-ca，或改用 SCRAM 机制"}},
	"LOG_ACL": {
		english: {"the broker's ACLs don't let the user do what is needed", "grant what the handbook lists for this role; the text names topic, group or transactional id"},
		chinese: {"Kafka 的 ACL 不允许该用户执行所需操作", "按手册为该角色授予所列权限；文字中写明主题、消费者组或事务 ID"}},
	"LOG_LOGIN": {
		english: {"the broker refuses the user, the password or the mechanism", "check log.sasl: mechanism, user and the password's file; kafka-configs.sh --describe --entity-type users shows the SCRAM users"},
		chinese: {"Kafka 拒绝该用户、口令或认证机制", "检查 log.sasl 的 mechanism、user 与口令文件；kafka-configs.sh --describe --entity-type users 可列出 SCRAM 用户"}},
	"SOURCE_TLS_LEGACY": {
		english: {"the agent's file accepts TLS 1.0 and 1.1 for this source (legacy: true)", "upgrade the server to one with TLS 1.2, then take legacy out"},
		chinese: {"agent 配置允许对该数据源使用 TLS 1.0 与 1.1（legacy: true）", "把服务器升级到支持 TLS 1.2 的版本，然后去掉 legacy"}},
	"SOURCE_TLS_UNVERIFIED": {
		english: {"the connection is encrypted, and whoever answers is believed to be the source", "have the authority's certificate from the DBA: mode: verify-full and ca_file, or verify-ca where the certificate has another name"},
		chinese: {"连接已加密，但未验证应答者是否就是源库", "向 DBA 索取 CA 证书：设 mode: verify-full 与 ca_file；证书名称不符时用 verify-ca"}},
	"TLS_CLIENT_CERTIFICATE": {
		english: {"the server wants to see a certificate of this program, or refuses the one it saw", "set cert_file and key_file under tls; see whether the certificate is valid and from an authority that the server knows"},
		chinese: {"服务器要求本程序出示证书，或拒绝了所出示的证书", "在 tls 下设置 cert_file 与 key_file；检查证书是否在有效期内、是否由服务器认可的 CA 签发"}},
	"TLS_EXPIRED": {
		english: {"the server's certificate isn't valid at this time", "have it renewed; if its time is right, correct this machine's clock"},
		chinese: {"服务器证书不在有效期内", "更换服务器证书；若有效期无误，校正本机时钟"}},
	"TLS_FILE": {
		english: {"a file under tls can't be used", "ca_file, cert_file and key_file are PEM files that this program may read; the key has no passphrase and belongs to the certificate"},
		chinese: {"tls 下的某个文件无法使用", "ca_file、cert_file、key_file 应为本程序可读的 PEM 文件；私钥不带口令且与证书匹配"}},
	"TLS_NAME": {
		english: {"the server's certificate is for another name", "set server_name to a name that the certificate has, or mode: verify-ca if it has none; if neither is expected, another server answers"},
		chinese: {"服务器证书的名称不符", "把 server_name 设为证书中的名称；证书没有名称时用 mode: verify-ca；若均非预期，则应答的是另一台服务器"}},
	"TLS_REQUIRED": {
		english: {"the server takes encrypted connections only", "set tls with mode: verify-full and ca_file"},
		chinese: {"服务器只接受加密连接", "设置 tls：mode: verify-full 与 ca_file"}},
	"TLS_UNSUPPORTED": {
		english: {"the server offers no encryption", "have TLS switched on at the server; or accept plain text with tls: {mode: none}, e.g. within a tunnel"},
		chinese: {"服务器不提供加密", "在服务器上启用 TLS；或用 tls: {mode: none} 接受明文，例如在加密隧道中"}},
	"TLS_UNTRUSTED": {
		english: {"no known authority stands behind the server's certificate", "set ca_file to the authority's certificate, or to the server's own; if it is set, another server may be answering"},
		chinese: {"服务器证书不是由已知的 CA 签发", "把 ca_file 设为 CA 证书或服务器自身的证书；若已设置，应答的可能是另一台服务器"}},
	"TLS_VERSION": {
		english: {"this program and the server have no version of TLS or cipher in common", "upgrade the server; for one that knows only TLS 1.0 or 1.1 set legacy: true under tls"},
		chinese: {"本程序与服务器没有共同的 TLS 版本或加密套件", "升级服务器；对只支持 TLS 1.0 或 1.1 的旧服务器，在 tls 下设置 legacy: true"}},
}
