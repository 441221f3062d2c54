package local

import (
	"context"
	"crypto/pbkdf2"
	"crypto/rand"
	"crypto/sha256"
	"crypto/sha512"
	"fmt"
	"os"
	"strings"

	kafkago "github.com/segmentio/kafka-go"
)

// settings adds the secure listener to a broker's settings.
func (s *KafkaSecure) settings(all map[string]string, port string) error {
	var pair strings.Builder // a PEM key store is the key and then the chain (KIP-651)
	for _, f := range []string{s.KeyFile, s.CertFile} {
		b, err := os.ReadFile(f)
		if err != nil {
			return fmt.Errorf("read the broker's certificate: %w", err)
		}
		pair.Write(b)
	}
	store := s.KeyFile + ".store"
	if err := os.WriteFile(store, []byte(pair.String()), 0o600); err != nil {
		return fmt.Errorf("write the broker's certificate: %w", err)
	}
	const name, prefix, login = "SASL_SSL", "listener.name.sasl_ssl.", "org.apache.kafka.common.security.scram.ScramLoginModule required;"
	listener := "," + name + "://127.0.0.1:" + port
	all["listeners"] += listener
	all["advertised.listeners"] += listener
	all["listener.security.protocol.map"] += "," + name + ":" + name
	for k, v := range map[string]string{
		prefix + "ssl.keystore.type": "PEM", prefix + "ssl.keystore.location": store,
		prefix + "ssl.truststore.type": "PEM", prefix + "ssl.truststore.location": s.CAFile,
		prefix + "sasl.enabled.mechanisms":        "SCRAM-SHA-512,SCRAM-SHA-256",
		prefix + "scram-sha-512.sasl.jaas.config": login, prefix + "scram-sha-256.sasl.jaas.config": login,
		"authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
		"super.users":           "User:ANONYMOUS",
	} {
		all[k] = v
	}
	if s.ClientCertificates {
		all[prefix+"ssl.client.auth"] = "required"
	}
	return nil
}

// scramIterations is the least that brokers take.
const scramIterations = 4096

// SetUser makes a user of SCRAM-SHA-512 and SCRAM-SHA-256, or gives him another password.
func (k *Kafka) SetUser(ctx context.Context, name, password string) error {
	salt := make([]byte, 16)
	_, _ = rand.Read(salt) // never fails
	long, err := pbkdf2.Key(sha512.New, password, salt, scramIterations, sha512.Size)
	if err != nil {
		return fmt.Errorf("salt the password of %s: %w", name, err)
	}
	short, err := pbkdf2.Key(sha256.New, password, salt, scramIterations, sha256.Size)
	if err != nil {
		return fmt.Errorf("salt the password of %s: %w", name, err)
	}
	return k.admin(func(c *kafkago.Client) error {
		for _, u := range []kafkago.UserScramCredentialsUpsertion{
			{Name: name, Mechanism: kafkago.ScramMechanismSha512, Iterations: scramIterations, Salt: salt, SaltedPassword: long},
			{Name: name, Mechanism: kafkago.ScramMechanismSha256, Iterations: scramIterations, Salt: salt, SaltedPassword: short},
		} {
			res, err := c.AlterUserScramCredentials(ctx, &kafkago.AlterUserScramCredentialsRequest{Upsertions: []kafkago.UserScramCredentialsUpsertion{u}})
			if err != nil {
				return fmt.Errorf("make the user %s: %w", name, err)
			}
			for _, r := range res.Results {
				if r.Error != nil {
					return fmt.Errorf("make the user %s: %w", name, r.Error)
				}
			}
		}
		return nil
	})
}

// Allow lets a user do something from anywhere: one of Read, Write, Describe, Create or
// DescribeConfigs with a topic, a group or a transactional id, or with all whose names
// begin so.
func (k *Kafka) Allow(ctx context.Context, user string, kind kafkago.ResourceType, name string, prefixed bool, operations ...kafkago.ACLOperationType) error {
	pattern := kafkago.PatternTypeLiteral
	if prefixed {
		pattern = kafkago.PatternTypePrefixed
	}
	req := &kafkago.CreateACLsRequest{}
	for _, o := range operations {
		req.ACLs = append(req.ACLs, kafkago.ACLEntry{ResourceType: kind, ResourceName: name, ResourcePatternType: pattern,
			Principal: "User:" + user, Host: "*", Operation: o, PermissionType: kafkago.ACLPermissionTypeAllow})
	}
	return k.admin(func(c *kafkago.Client) error {
		res, err := c.CreateACLs(ctx, req)
		if err != nil {
			return fmt.Errorf("let %s use %s: %w", user, name, err)
		}
		for _, err := range res.Errors {
			if err != nil {
				return fmt.Errorf("let %s use %s: %w", user, name, err)
			}
		}
		return nil
	})
}

// admin asks the broker as somebody who may do everything.
func (k *Kafka) admin(f func(*kafkago.Client) error) error {
	t := &kafkago.Transport{}
	defer t.CloseIdleConnections()
	return f(&kafkago.Client{Addr: kafkago.TCP(k.Addr), Transport: t})
}
