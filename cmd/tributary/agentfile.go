package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"slices"

	"gopkg.in/yaml.v3"

	"github.com/tributary-cdc/tributary/cmd/internal/config"
)

// editedAgent is an agent's file as it stands: its comments stay when a source is added. It
// may have no source yet.
type editedAgent struct {
	name string
	mode os.FileMode
	root yaml.Node
	// What the file says, as far as adding a source needs it.
	Org     string `yaml:"org"`
	DataDir string `yaml:"data_dir"`
	Joined  string `yaml:"joined"`
	// PasswordKey opens the encrypted passwords; newKey is the one that the file doesn't name yet,
	// madeKey the one that was made just now.
	PasswordKey     string `yaml:"password_key"`
	newKey, madeKey string
	Sources         []struct {
		Name string `yaml:"name"`
	} `yaml:"sources"`
}

// newSource is a source as it is written into the file.
type newSource struct {
	Name         string            `yaml:"name"`
	Engine       string            `yaml:"engine"`
	Host         string            `yaml:"host"`
	Port         uint16            `yaml:"port"`
	Database     string            `yaml:"database,omitempty"`
	User         string            `yaml:"user"`
	PasswordFile string            `yaml:"password_file,omitempty"`
	Sealed       string            `yaml:"password_sealed,omitempty"`
	Datasets     map[string]string `yaml:"datasets,omitempty"`
	Tables       []string          `yaml:"tables"`
	FirstStart   string            `yaml:"first_start"`
}

func openEdited(name string) (*editedAgent, error) {
	unusable := func(err error) error {
		return &problem{code: "CONFIG_FILE", words: err.Error(), class: errUsage}
	}
	info, err := os.Stat(name)
	if err != nil {
		return nil, unusable(err)
	}
	b, err := os.ReadFile(name)
	if err != nil {
		return nil, unusable(err)
	}
	f := &editedAgent{name: name, mode: info.Mode().Perm()}
	if err := yaml.Unmarshal(b, &f.root); err != nil {
		return nil, unusable(fmt.Errorf("%s: %w", name, err))
	}
	if err := f.root.Decode(f); err != nil {
		return nil, unusable(fmt.Errorf("%s: %w", name, err))
	}
	if len(f.root.Content) != 1 || f.root.Content[0].Kind != yaml.MappingNode || f.Org == "" || f.DataDir == "" {
		return nil, unusable(fmt.Errorf("%s: org, data_dir", name))
	}
	return f, nil
}

// has reports whether the file has a source of a name.
func (f *editedAgent) has(name string) bool {
	for _, s := range f.Sources {
		if s.Name == name {
			return true
		}
	}
	return false
}

// value gives what stands at a key of the file.
func (f *editedAgent) value(key string) *yaml.Node {
	top := f.root.Content[0].Content
	for i := 0; i+1 < len(top); i += 2 {
		if top[i].Value == key {
			return top[i+1]
		}
	}
	return nil
}

// with gives the file's text with a source more, and the agent's folder where it names
// none yet. The whole must be valid.
func (f *editedAgent) with(s newSource, joined string) ([]byte, *config.Agent, error) {
	var node yaml.Node
	if err := node.Encode(s); err != nil {
		return nil, nil, err
	}
	for i, v := range node.Content {
		if v.Value == "tables" {
			node.Content[i+1].Style = yaml.FlowStyle
		}
	}
	root := f.root.Content[0]
	before := slices.Clone(root.Content)
	defer func() { root.Content = before }()
	if joined != "" && f.Joined == "" {
		root.Content = append(root.Content, entry("joined", joined)...)
	}
	list := &yaml.Node{Kind: yaml.SequenceNode}
	if have := f.value("sources"); have != nil && have.Kind == yaml.SequenceNode {
		*list = *have
		list.Content = slices.Clone(have.Content)
		if len(list.Content) == 0 {
			list.Style = 0
		}
	}
	list.Content = append(list.Content, &node)
	if at := slices.IndexFunc(root.Content, func(n *yaml.Node) bool { return n.Value == "sources" }); at >= 0 && at+1 < len(root.Content) {
		root.Content = slices.Clone(root.Content)
		root.Content[at+1] = list
	} else {
		root.Content = append(root.Content, &yaml.Node{Kind: yaml.ScalarNode, Value: "sources"}, list)
	}
	return f.text()
}

// entry is a key with its text.
func entry(key, text string) []*yaml.Node {
	return []*yaml.Node{{Kind: yaml.ScalarNode, Value: key}, {Kind: yaml.ScalarNode, Value: text, Style: yaml.DoubleQuotedStyle}}
}

// text gives the file as it stands now, with the key of its passwords if that is new.
func (f *editedAgent) text() ([]byte, *config.Agent, error) {
	if f.newKey != "" {
		root := f.root.Content[0]
		before := slices.Clone(root.Content)
		defer func() { root.Content = before }()
		root.Content = append(slices.Clip(root.Content), entry("password_key", f.newKey)...)
	}
	var b bytes.Buffer
	enc := yaml.NewEncoder(&b)
	enc.SetIndent(2)
	err := enc.Encode(&f.root)
	if err = errors.Join(err, enc.Close()); err != nil {
		return nil, nil, err
	}
	var agent config.Agent
	if err := config.Decode(b.Bytes(), &agent); err != nil {
		return nil, nil, &config.FileError{File: f.name, Err: err}
	}
	return b.Bytes(), &agent, nil
}

// write replaces the file. Its mode and its owner stay.
func (f *editedAgent) write(text []byte) error {
	err := replaceFile(f.name+".new", text)
	if err == nil {
		err = os.Chmod(f.name+".new", f.mode)
	}
	if err == nil {
		err = owned(f.name+".new", f.name)
	}
	if err == nil {
		err = os.Rename(f.name+".new", f.name)
	}
	if err != nil {
		return &problem{code: "FILE_NOT_WRITTEN", words: err.Error()}
	}
	return nil
}
