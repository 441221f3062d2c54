package preflight

import (
	"fmt"
	"os"
	"strconv"
	"strings"

	"github.com/tributary-cdc/tributary/capture/mysql"
)

// settings judges the server's variables.
func (c *mysqlServer) settings() error {
	for _, q := range []struct {
		into *map[string]string
		sql  string
	}{{&c.vars, "SHOW GLOBAL VARIABLES"}, {&c.status, "SHOW GLOBAL STATUS"}} {
		rows, err := c.s.Rows("read the settings", q.sql)
		if err != nil {
			return err
		}
		*q.into = pairs(rows)
	}
	c.rate()
	c.required()
	c.images()
	c.retention()
	c.gtids()
	c.timeouts()
	return c.encryption()
}

// rate computes how fast the binary log grows.
func (c *mysqlServer) rate() {
	up := max(1, c.number(c.status, "uptime"))
	for _, counter := range []struct{ name, note string }{{"binlog_bytes_written", ""}, {"innodb_os_log_written", " (redo log, more than the binary log)"}} {
		if v := c.number(c.status, counter.name); v > 0 {
			c.r.LogRate = &Rate{BytesPerDay: int64(v / up * 86400), Basis: fmt.Sprintf("%s / Uptime %.0f s%s", counter.name, up, counter.note), Seconds: up}
			return
		}
	}
}

// required are the settings that the reader refuses to go without.
func (c *mysqlServer) required() {
	for _, want := range mysql.Required {
		got, found := c.vars[want.Name]
		if !found || strings.EqualFold(got, want.Value) || want.Name != "log_bin" && c.is("log_bin", "OFF") {
			continue
		}
		repair := c.set(want.Name, want.Value)
		if want.Name == "log_bin" {
			repair = Repair{Setting: "log_bin = binlog", Restart: true}
		}
		c.r.add(Refuses, want.Code, "", want.Name+" = "+got, repair)
	}
	if c.is("lower_case_table_names", mysql.CaseFixed) {
		c.r.add(Refuses, "MYSQL_TABLE_CASE", "", "lower_case_table_names = "+mysql.CaseFixed)
	}
}

// images judges what stands in the rows of the log.
func (c *mysqlServer) images() {
	if v := c.vars["binlog_row_image"]; v != "" && !strings.EqualFold(v, "FULL") {
		c.r.add(Harms, "MYSQL_ROW_IMAGE", "", "binlog_row_image = "+v, c.set("binlog_row_image", "FULL"))
	}
	switch v, there := c.vars["binlog_row_metadata"]; {
	case !there:
		c.r.add(Advice, "MYSQL_ROW_METADATA", "", "binlog_row_metadata: -")
	case !strings.EqualFold(v, "FULL"):
		c.r.add(Harms, "MYSQL_ROW_METADATA", "", "binlog_row_metadata = "+v, c.set("binlog_row_metadata", "FULL"))
	}
	if v := c.vars["binlog_row_value_options"]; v != "" {
		c.r.add(Refuses, "PARTIAL_JSON", "", "binlog_row_value_options = "+v, c.set("binlog_row_value_options", ""))
	}
}

// retention judges for how long the log is kept, by time and, at its present rate, by size.
func (c *mysqlServer) retention() {
	if c.is("binlog_expire_logs_auto_purge", "OFF") {
		return
	}
	const week = 7 * 24 * 3600
	seconds, days := c.number(c.vars, "binlog_expire_logs_seconds"), c.number(c.vars, "expire_logs_days")
	hours, name := seconds/3600, "binlog_expire_logs_seconds"
	repair := Repair{}
	if seconds > 0 {
		repair = c.set(name, strconv.Itoa(week))
	} else if days > 0 {
		hours, name = days*24, "expire_logs_days"
		repair = c.set(name, "7")
	}
	if hours > 0 && hours < wantedHours {
		c.r.add(Harms, "MYSQL_RETENTION", "", fmt.Sprintf("%s = %s (%.1f h)", name, c.vars[name], hours), repair)
	}
	size, rate := c.number(c.vars, "max_binlog_total_size"), c.r.LogRate
	if size <= 0 || rate == nil {
		return
	}
	if left := rate.lasts(int64(size)); left < wantedHours {
		c.r.add(Harms, "MYSQL_RETENTION", "", fmt.Sprintf("max_binlog_total_size = %.0f (%.1f h; %s)", size, left, rate.Basis), c.set("max_binlog_total_size", "0"))
	}
}

// gtids judges MySQL's: MariaDB always has its own.
func (c *mysqlServer) gtids() {
	mode, there := c.vars["gtid_mode"]
	if !there || c.mariadb || strings.EqualFold(mode, "ON") {
		return
	}
	severity := Harms
	if c.o.Load {
		severity = Refuses
	}
	modes := []string{"OFF", "OFF_PERMISSIVE", "ON_PERMISSIVE", "ON"}
	at := 0
	for i, m := range modes {
		if strings.EqualFold(m, mode) {
			at = i
		}
	}
	var steps []Repair
	const enforce = "SET GLOBAL enforce_gtid_consistency = "
	switch was := strings.ToUpper(c.vars["enforce_gtid_consistency"]); was {
	case "ON":
	default:
		steps = append(steps, Repair{SQL: enforce + "WARN", Undo: enforce + was})
		fallthrough
	case "WARN":
		steps = append(steps, Repair{SQL: enforce + "ON", Undo: enforce + "WARN", Setting: "enforce_gtid_consistency = ON"})
	}
	for i := at + 1; i < len(modes); i++ {
		steps = append(steps, Repair{SQL: "SET GLOBAL gtid_mode = " + modes[i], Undo: "SET GLOBAL gtid_mode = " + modes[i-1]})
	}
	steps[len(steps)-1].Setting = "gtid_mode = ON"
	c.r.add(severity, "MYSQL_GTID_MODE", "", "gtid_mode = "+mode, steps...)
}

// timeouts judges after which silence the server ends a connection.
func (c *mysqlServer) timeouts() {
	for _, t := range []struct {
		name string
		min  float64 // seconds
		want string
	}{{"net_write_timeout", 30, "60"}, {"net_read_timeout", 10, "30"}, {"wait_timeout", 60, "28800"}} {
		if v := c.number(c.vars, t.name); v > 0 && v < t.min {
			c.r.add(Harms, "MYSQL_TIMEOUT", "", fmt.Sprintf("%s = %.0f", t.name, v), c.set(t.name, t.want))
		}
	}
}

// encryption looks at this connection, which was made as the reader makes its own.
func (c *mysqlServer) encryption() error {
	if c.printed {
		c.r.unseen("TLS", onlyLive)
		return nil
	}
	rows, err := c.s.Rows("look at the connection", "SHOW SESSION STATUS LIKE 'Ssl_%'")
	if err != nil {
		return err
	}
	version := ""
	if have := pairs(rows); have["ssl_cipher"] != "" {
		version = have["ssl_version"]
	}
	c.r.encryption(c.o.MySQL.Host, c.o.MySQL.TLS, version)
	return nil
}

// replication looks at who else reads this server, and whom it reads.
func (c *mysqlServer) replication() error {
	ours := c.o.MySQL.ServerID
	if ours == 0 {
		ours = mysql.ReplicaID(c.o.MySQL.Source.ID)
	}
	id := strconv.FormatUint(uint64(ours), 10)
	switch c.vars["server_id"] {
	case "0":
		c.r.add(Refuses, "MYSQL_SERVER_ID", "", "server_id = 0", c.set("server_id", "1"))
	case id:
		c.r.add(Refuses, "MYSQL_SERVER_ID", "", "server_id = "+id, c.set("server_id", "1"))
	}
	replicas, _, err := c.ask("list the replicas", c.named("SHOW REPLICAS", "SHOW SLAVE HOSTS")...)
	if err != nil {
		return err
	}
	here, err := os.Hostname()
	if err != nil {
		return fmt.Errorf("name of this machine: %w", err)
	}
	for _, row := range replicas {
		if row[0] == id && row[1] != here[:min(len(here), 60)] { // one from here is this source's own agent
			c.r.add(Refuses, "MYSQL_SERVER_ID", "", fmt.Sprintf("server_id = %s: %s:%s", id, row[1], row[2]))
		}
	}
	if c.is("log_bin", "OFF") {
		return nil
	}
	sources, _, err := c.ask("look whether the server is a replica", c.named("SHOW REPLICA STATUS", "SHOW SLAVE STATUS")...)
	if err != nil {
		return err
	}
	if len(sources) > 0 && (c.is("log_slave_updates", "OFF") || c.is("log_replica_updates", "OFF")) {
		c.r.add(Refuses, "MYSQL_REPLICA_LOG", "", "log_slave_updates = OFF", Repair{Setting: "log_slave_updates = ON", Restart: true})
	}
	return nil
}

// named gives the statements under their new and old name, those that this server has.
func (c *mysqlServer) named(now, before string) []string {
	if c.mariadb {
		return []string{strings.Replace(before, "SHOW SLAVE STATUS", "SHOW ALL SLAVES STATUS", 1)}
	}
	return []string{now, before}
}
