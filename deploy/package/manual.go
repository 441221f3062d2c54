package main

import (
	"bytes"
	"compress/gzip"
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
)

// chapter is what a manual page says besides the program's own help.
type chapter struct {
	name, nameText, synopsis, commands, files, exit, also string
	fileLines, exitLines                                  [][2]string
}

var chapters = map[string]chapter{
	"en": {
		name: "NAME", nameText: "tributary \\- change data capture from district databases to city and provincial stores", synopsis: "SYNOPSIS", commands: "COMMANDS", files: "FILES", exit: "EXIT STATUS", also: "SEE ALSO",
		fileLines: [][2]string{
			{"/etc/tributary/ROLE.yml", "the file of the unit tributary\\-ROLE; tributary config example ROLE prints one"},
			{"/var/lib/tributary", "what the roles keep, each in a folder of its own"},
			{"/usr/share/doc/tributary", "commented examples, the handbook in English and Chinese, licences"},
		},
		exitLines: [][2]string{
			{"0", "done"}, {"1", "failed, or something needs a person"}, {"2", "the command line or a file is wrong"},
			{"3", "a program, the log or a store can't be reached"}, {"128+N", "ended at once, because a signal was sent twice"},
		},
	},
	"zh-CN": {
		name: "名称", nameText: "tributary \\- 变更数据捕获：从区县数据库到市级、省级汇聚库", synopsis: "概要", commands: "命令", files: "文件", exit: "退出状态", also: "另见",
		fileLines: [][2]string{
			{"/etc/tributary/ROLE.yml", "服务 tributary\\-ROLE 的配置文件；tributary config example ROLE 输出带注释的示例"},
			{"/var/lib/tributary", "各角色保存的内容，每个角色一个目录"},
			{"/usr/share/doc/tributary", "带注释的示例、中英文手册、许可证"},
		},
		exitLines: [][2]string{
			{"0", "完成"}, {"1", "失败，或有问题需要人工处理"}, {"2", "命令行或文件有误"},
			{"3", "无法访问某个程序、日志或汇聚库"}, {"128+N", "收到两次信号，立即结束"},
		},
	},
}

// paths gives every command of the program below a path, in the order of its help.
func (t tree) paths(ctx context.Context, at []string) ([][]string, error) {
	text, err := t.says(ctx, append([]string{"help", "--lang", "en"}, at...)...)
	if err != nil {
		return nil, err
	}
	all := [][]string{at}
	_, rest, _ := strings.Cut(string(text), "\nCommands:\n")
	for line := range strings.Lines(rest) {
		name := strings.Fields(line)
		if len(name) == 0 || !strings.HasPrefix(line, "  ") {
			break
		}
		below, err := t.paths(ctx, append(slices.Clone(at), name[0]))
		if err != nil {
			return nil, err
		}
		all = append(all, below...)
	}
	return all, nil
}

// manual writes the manual page in a language: the help of every command, as it is.
func (t tree) manual(ctx context.Context, lang, man string) error {
	paths, err := t.paths(ctx, nil)
	if err != nil {
		return err
	}
	c := chapters[lang]
	var b bytes.Buffer
	fmt.Fprintf(&b, ".TH TRIBUTARY 1\n.SH %s\n%s\n.SH %s\n.B tributary\n.I COMMAND\n[ARGUMENT...] [\\-\\-lang LANG]\n.SH %s\n", c.name, c.nameText, c.synopsis, c.commands)
	for _, path := range paths {
		text, err := t.says(ctx, append([]string{"help", "--lang", lang}, path...)...)
		if err != nil {
			return err
		}
		fmt.Fprintf(&b, ".SS %s\n.nf\n%s\n.fi\n", escaped(strings.Join(append([]string{"tributary"}, path...), " ")), escaped(string(trimmed(text))))
	}
	for _, part := range []struct {
		head  string
		lines [][2]string
	}{{c.files, c.fileLines}, {c.exit, c.exitLines}} {
		fmt.Fprintf(&b, ".SH %s\n", part.head)
		for _, l := range part.lines {
			fmt.Fprintf(&b, ".TP\n.B %s\n%s\n", l[0], l[1])
		}
	}
	fmt.Fprintf(&b, ".SH %s\n.BR systemctl (1),\n.BR journalctl (1)\n", c.also)
	var zipped bytes.Buffer
	z := gzip.NewWriter(&zipped)
	if _, err := z.Write(b.Bytes()); err != nil {
		return fmt.Errorf("compress the manual: %w", err)
	}
	if err := z.Close(); err != nil {
		return fmt.Errorf("compress the manual: %w", err)
	}
	return t.write(filepath.Join("usr/share/man", man, "man1/tributary.1.gz"), zipped.Bytes(), 0o644)
}

// escaped makes a text mean itself to man: no escapes, no requests.
func escaped(text string) string {
	text = strings.NewReplacer(`\`, `\e`, "-", `\-`).Replace(text)
	var b strings.Builder
	for line := range strings.Lines(text) {
		if strings.HasPrefix(line, ".") || strings.HasPrefix(line, "'") {
			line = `\&` + line
		}
		b.WriteString(line)
	}
	return b.String()
}
