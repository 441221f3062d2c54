package servers

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	kafkago "github.com/segmentio/kafka-go"

	"github.com/tributary-cdc/tributary/deploy/local"
)

// aclOperations are the names of operations for kafka-acls.sh.
var aclOperations = map[string]kafkago.ACLOperationType{"Read": kafkago.ACLOperationTypeRead, "Write": kafkago.ACLOperationTypeWrite,
	"Describe": kafkago.ACLOperationTypeDescribe, "DescribeConfigs": kafkago.ACLOperationTypeDescribeConfigs}

// aclKinds are the options of kafka-acls.sh that name something.
var aclKinds = map[string]kafkago.ResourceType{"--topic": kafkago.ResourceTypeTopic, "--group": kafkago.ResourceTypeGroup, "--transactional-id": kafkago.ResourceTypeTransactionalID}

// HandbookACLs gives the broker the ACLs that the handbook lists, and no other.
func HandbookACLs(t testing.TB, k *local.Kafka) {
	t.Helper()
	dir, err := os.Getwd()
	for err == nil {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			break
		}
		dir = filepath.Dir(dir)
	}
	b, err := os.ReadFile(filepath.Join(dir, "deploy", "handbook", "en", "secure.md"))
	if err != nil {
		t.Fatal(err)
	}
	_, list, _ := strings.Cut(string(b), "```acls\n")
	list, _, _ = strings.Cut(list, "```")
	n := 0
	for line := range strings.Lines(list) {
		user, name, kind, prefixed := "", "", kafkago.ResourceTypeUnknown, false
		var operations []kafkago.ACLOperationType
		words := strings.Fields(line)
		for i := 0; i+1 < len(words); i += 2 {
			switch option, value := words[i], words[i+1]; {
			case option == "--allow-principal":
				user = strings.TrimPrefix(value, "User:")
			case option == "--operation" && aclOperations[value] != 0:
				operations = append(operations, aclOperations[value])
			case option == "--resource-pattern-type":
				prefixed = value == "prefixed"
			case aclKinds[option] != 0:
				kind, name = aclKinds[option], value
			default:
				t.Fatalf("%s %s isn't understood", option, value)
			}
		}
		if err := k.Allow(t.Context(), user, kind, name, prefixed, operations...); err != nil {
			t.Fatal(err)
		}
		n++
	}
	if n < 8 {
		t.Fatalf("the handbook lists %d ACLs", n)
	}
}
