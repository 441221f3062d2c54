package config

import (
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/tributary-cdc/tributary/cmd/internal/language"
)

// TestFindings: each thing that is wrong is a finding with its code, in both languages.
func TestFindings(t *testing.T) {
	for name, tt := range map[string]struct {
		text  string
		codes []string
		zh    []string
	}{
		"not YAML":       {"name: [", []string{codeSyntax}, []string{"第 1 行：不是有效的 YAML"}},
		"no mapping":     {"- a\n- b\n", []string{codeValue}, []string{"第 1 行：应为键值对"}},
		"kinds":          {"partitions: many\norgs_: x\nstop_timeout: 5 s\nsources: x\n", []string{codeValue, codeKey, codeValue, codeValue}, []string{"第 1 行：“many”：应为取值范围内的整数", `第 2 行：未知的键 "orgs_"，最接近的已知键是 "org"`, "应为带单位的时长", "应为列表"}},
		"a bool":         {"log: {embedded: perhaps}\n", []string{codeValue}, []string{"应为 true 或 false"}},
		"password":       {"sources: [{password: x}]\n", []string{codeSecret}, []string{"口令不写在文件中"}},
		"nothing":        {"", []string{codeMissing, codeValue, codeMissing, codeMissing}, []string{"log.brokers：至少一个 host:port", `name "", org ""：二者均须填写`, "data_dir：须指定目录", "sources：至少一个"}},
		"a bad address":  {strings.Replace(goodAgent, "stop_timeout", "http: \"8061\"\nstop_timeout", 1), []string{codeValue}, []string{`http "8061"：应为带端口的地址`}},
		"a port of text": {strings.Replace(goodAgent, "stop_timeout", "http: 127.0.0.1:http\nstop_timeout", 1), []string{codeValue}, []string{`http "127.0.0.1:http"`}},
	} {
		file := filepath.Join(t.TempDir(), "agent.yml")
		if err := os.WriteFile(file, []byte(tt.text), 0o600); err != nil {
			t.Fatal(err)
		}
		err := Load(file, &Agent{})
		var fe *FileError
		if !errors.Is(err, ErrInvalid) || !errors.As(err, &fe) || fe.File != file {
			t.Errorf("%s: %v", name, err)
			continue
		}
		var codes []string
		for i, f := range Findings(err) {
			codes = append(codes, f.Code)
			if i < len(tt.zh) && !strings.Contains(f.In(language.Chinese), tt.zh[i]) {
				t.Errorf("%s: %q, want %q", name, f.In(language.Chinese), tt.zh[i])
			}
		}
		if !reflect.DeepEqual(codes, tt.codes) {
			t.Errorf("%s: %v, want %v: %v", name, codes, tt.codes, err)
		}
	}
}

func TestOtherFindings(t *testing.T) {
	none := Load(filepath.Join(t.TempDir(), "none.yml"), &Agent{})
	if all := Findings(none); !errors.Is(none, ErrInvalid) || len(all) != 1 || all[0].Code != codeFile || !strings.Contains(none.Error(), "none.yml") {
		t.Errorf("%v: %v", none, all)
	}
	for _, s := range []Secret{{File: filepath.Join(t.TempDir(), "none")}, {Env: "TRIBUTARY_NO_SUCH_VARIABLE"}} {
		if _, err := s.Read(); !errors.Is(err, ErrInvalid) || Findings(err)[0].Code != codeSecret {
			t.Errorf("%+v: %v", s, err)
		}
	}
	if all := Findings(errors.Join(ErrInvalid, errors.New("plain"))); len(all) != 1 || all[0].Error() != "plain" || all[0].Code != codeValue {
		t.Errorf("%v", all)
	}
}
