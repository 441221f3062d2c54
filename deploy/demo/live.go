package main

import (
	"context"
	"database/sql"
	"fmt"
	"io"
	"os"
	"path/filepath"
)

// liveDistrict makes the database of the district that is joined by hand, on the server
// of xueji, and its agent's file.
func (s *system) liveDistrict(ctx context.Context, admin *sql.DB) error {
	for _, statement := range []string{
		"CREATE DATABASE gongshu CHARACTER SET utf8mb4",
		"CREATE TABLE gongshu.school (xxdm char(10) PRIMARY KEY, xxmc varchar(60) NOT NULL, head_count int NOT NULL)",
		"CREATE TABLE gongshu.class (bh bigint PRIMARY KEY, xxdm char(10) NOT NULL, bjmc varchar(20) NOT NULL, ssnj varchar(10) NOT NULL)",
		"INSERT INTO gongshu.school VALUES ('2133000501', '拱墅第一小学', 900), ('2133000502', '拱墅第二小学', 700)",
		"INSERT INTO gongshu.class VALUES (1, '2133000501', '一年级1班', '2026'), (2, '2133000502', '一年级1班', '2026')",
	} {
		if _, err := admin.ExecContext(ctx, statement); err != nil {
			return fmt.Errorf("make the database gongshu: %w", err)
		}
	}
	return nil
}

// liveFile is the file of the agent that joins.
func (s *system) liveFile() string { return filepath.Join(s.o.dir, "agent-"+live+".yml") }

// writeLive writes it, once the log's address is known.
func (s *system) writeLive() error {
	x := s.servers[0]
	text := fmt.Sprintf("name: a-%s\norg: %q\ndata_dir: %q\njoined: %q\nlog: {brokers: [%q], embedded: %t, durability: single}\nsources:\n  - {name: xueji, engine: mariadb, host: 127.0.0.1, port: %d, user: %s, password_file: %q, tables: [\"gongshu.*\"], first_start: load}\n",
		live, live, filepath.Join(s.o.dir, "agent-"+live), s.joined(), s.broker, s.o.embedded, x.Port, x.User, secret(x))
	if err := os.WriteFile(s.liveFile(), []byte(text), 0o600); err != nil {
		return fmt.Errorf("write the agent's file: %w", err)
	}
	return nil
}

// joined is where the agent that joins keeps its key.
func (s *system) joined() string { return filepath.Join(s.o.dir, "joined-"+live) }

// joining prints how the district is joined. Two persons take part besides the DBA: who
// invites doesn't approve.
func (s *system) joining(out io.Writer) {
	program, dir, file := quote(s.o.program), quote(s.joined()), quote(s.liveFile())
	_, _ = fmt.Fprintf(out, `
管理员一次性链接（24 小时内有效） / the administrator's link, for one use within 24 hours:
  %s
现场接入 %s 拱墅区 / joining %s live:
  1. 打开链接设置 admin 的口令；在“账号”页新建两个账号：操作员、审批人，机构选 %s 或全部；用各自的一次性链接设置口令
     open the link and set the password of admin; on "Accounts" make an operator and an approver for %s or the whole tree; each sets a password by a link
  2. 操作员：“邀请”页邀请 %s，运行页面给出的命令，并加上 --dir / operator: invite %s, and run the page's command with --dir:
     %s join https://%s 邀请码/INVITATION --dir %s
     %s source propose %s xueji --dir %s
  3. 审批人：“申请”页批准，然后 / approver: approve on "Requests", then
     %s source fetch --dir %s
     %s agent --config %s
`, s.link, live, live, live, live, live, live, program, s.joins, dir, program, file, dir, program, dir, program, file)
}
