package kafka

import (
	"context"
	"crypto/pbkdf2"
	"crypto/rand"
	"crypto/sha512"
	"errors"
	"fmt"

	kafkago "github.com/segmentio/kafka-go"
)

// scramIterations is the least that brokers take. More would guard passwords that people
// choose; those of agents are 256 random bits.
const scramIterations = 4096

// Grant lets the agent of an org use the org's topics and the transactional ids of its
// sources, by a user of SCRAM-SHA-512 with this password, and nothing else. The user gets
// the password if it is there already, so that Grant may be repeated. It reports false, and
// has done nothing, where the brokers let everybody do everything. log.ErrForbidden says
// that this client's user may not give rights (Alter on the cluster); then, too, nothing was
// done, and after any other error a user that had no rights before has none.
func (c *Client) Grant(ctx context.Context, org, user, password string) (bool, error) {
	had, err := c.rightsOf(ctx, user)
	if errors.Is(err, kafkago.SecurityDisabled) {
		return false, nil
	}
	if err == nil {
		err = c.allow(ctx, agentRights(org, user))
	}
	if err == nil {
		if err = c.setPassword(ctx, user, password); err != nil && !had {
			err = errors.Join(err, c.forbid(context.WithoutCancel(ctx), user))
		}
	}
	if err != nil {
		return false, fmt.Errorf("rights of the log's user %s: %w", user, err)
	}
	return true, nil
}

// Revoke takes all that Grant gave a user away, and the user itself. The rights go first:
// brokers look at them for each request, at a password for each connection only. A user that
// isn't there is no error.
func (c *Client) Revoke(ctx context.Context, user string) error {
	err := c.forbid(ctx, user)
	if errors.Is(err, kafkago.SecurityDisabled) {
		return nil
	}
	if err == nil { // the client can't read a broker's answer that there is no such user, so there is one
		err = c.setPassword(ctx, user, rand.Text())
	}
	if err == nil {
		err = c.alterUser(ctx, &kafkago.AlterUserScramCredentialsRequest{Deletions: []kafkago.UserScramCredentialsDeletion{{Name: user, Mechanism: kafkago.ScramMechanismSha512}}})
	}
	if err != nil {
		return fmt.Errorf("rights of the log's user %s: %w", user, err)
	}
	return nil
}

func principal(user string) string { return "User:" + user }

// agentRights are those of the handbook for an agent. IdempotentWrite, which lets nobody
// write anywhere, is asked for by brokers before 2.8.
func agentRights(org, user string) (all []kafkago.ACLEntry) {
	add := func(kind kafkago.ResourceType, name string, pattern kafkago.PatternType, operations ...kafkago.ACLOperationType) {
		for _, o := range operations {
			all = append(all, kafkago.ACLEntry{ResourceType: kind, ResourceName: name, ResourcePatternType: pattern,
				Principal: principal(user), Host: "*", Operation: o, PermissionType: kafkago.ACLPermissionTypeAllow})
		}
	}
	add(kafkago.ResourceTypeTopic, Prefix+org+".", kafkago.PatternTypePrefixed, kafkago.ACLOperationTypeRead, kafkago.ACLOperationTypeWrite, kafkago.ACLOperationTypeDescribeConfigs)
	add(kafkago.ResourceTypeTransactionalID, Prefix+org+".", kafkago.PatternTypePrefixed, kafkago.ACLOperationTypeWrite, kafkago.ACLOperationTypeDescribe)
	add(kafkago.ResourceTypeCluster, "kafka-cluster", kafkago.PatternTypeLiteral, kafkago.ACLOperationTypeIdempotentWrite)
	return all
}

// rightsOf reports whether a user has any right.
func (c *Client) rightsOf(ctx context.Context, user string) (bool, error) {
	ctx, cancel := c.bounded(ctx, 0)
	defer cancel()
	res, err := c.raw.DescribeACLs(ctx, &kafkago.DescribeACLsRequest{Filter: kafkago.ACLFilter{ResourceTypeFilter: kafkago.ResourceTypeAny, ResourcePatternTypeFilter: kafkago.PatternTypeAny,
		PrincipalFilter: principal(user), Operation: kafkago.ACLOperationTypeAny, PermissionType: kafkago.ACLPermissionTypeAny}})
	if err == nil {
		err = res.Error
	}
	if err != nil {
		return false, classify(err)
	}
	return len(res.Resources) > 0, nil
}

func (c *Client) allow(ctx context.Context, rights []kafkago.ACLEntry) error {
	ctx, cancel := c.bounded(ctx, 0)
	defer cancel()
	res, err := c.raw.CreateACLs(ctx, &kafkago.CreateACLsRequest{ACLs: rights})
	if err != nil {
		return classify(err)
	}
	for _, e := range res.Errors {
		err = errors.Join(err, classify(e))
	}
	return err
}

func (c *Client) forbid(ctx context.Context, user string) error {
	ctx, cancel := c.bounded(ctx, 0)
	defer cancel()
	res, err := c.raw.DeleteACLs(ctx, &kafkago.DeleteACLsRequest{Filters: []kafkago.DeleteACLsFilter{{ResourceTypeFilter: kafkago.ResourceTypeAny, ResourcePatternTypeFilter: kafkago.PatternTypeAny,
		PrincipalFilter: principal(user), Operation: kafkago.ACLOperationTypeAny, PermissionType: kafkago.ACLPermissionTypeAny}}})
	if err != nil {
		return classify(err)
	}
	for _, r := range res.Results {
		err = errors.Join(err, classify(r.Error))
		for _, m := range r.MatchingACLs {
			err = errors.Join(err, classify(m.Error))
		}
	}
	return err
}

func (c *Client) setPassword(ctx context.Context, user, password string) error {
	salt := make([]byte, 16)
	_, _ = rand.Read(salt) // never fails
	salted, err := pbkdf2.Key(sha512.New, password, salt, scramIterations, sha512.Size)
	if err != nil {
		return err
	}
	return c.alterUser(ctx, &kafkago.AlterUserScramCredentialsRequest{Upsertions: []kafkago.UserScramCredentialsUpsertion{
		{Name: user, Mechanism: kafkago.ScramMechanismSha512, Iterations: scramIterations, Salt: salt, SaltedPassword: salted}}})
}

func (c *Client) alterUser(ctx context.Context, req *kafkago.AlterUserScramCredentialsRequest) error {
	ctx, cancel := c.bounded(ctx, 0)
	defer cancel()
	res, err := c.raw.AlterUserScramCredentials(ctx, req)
	if err != nil {
		return classify(err)
	}
	for _, r := range res.Results {
		err = errors.Join(err, classify(r.Error))
	}
	return err
}
