package main

import (
	"context"
	"database/sql"
	"fmt"
	"path/filepath"
	"strings"

	"github.com/go-sql-driver/mysql"
	_ "github.com/jackc/pgx/v5/stdlib" // database/sql's driver "pgx"
	"golang.org/x/sync/errgroup"

	"github.com/tributary-cdc/tributary/deploy/local"
	"github.com/tributary-cdc/tributary/test/workload"
)

// startServers starts the databases, and the broker if there is one, at once.
func (s *system) startServers(ctx context.Context) error {
	s.say.step("启动数据库服务器 / starting the database servers")
	var g errgroup.Group
	for i, name := range []string{"xueji", "chengji", "city", "province"} {
		g.Go(func() (err error) {
			defer s.say.await(name)()
			f := local.StartPostgres
			if i == 0 {
				f = local.StartMariaDB
			}
			s.servers[i], err = f(ctx, local.Options{Dir: filepath.Join(s.o.dir, name), Tell: func(line string) { s.say.step("%s", line) }})
			if err != nil {
				return fmt.Errorf("%s: %w", name, err)
			}
			s.say.step("%s: %s %s, 127.0.0.1:%d (%s)", name, s.servers[i].Engine, version(s.servers[i]), s.servers[i].Port, s.servers[i].How)
			return nil
		})
	}
	if !s.o.embedded {
		g.Go(func() (err error) {
			defer s.say.await("Kafka")()
			s.kafka, err = local.StartKafka(ctx, local.KafkaOptions{Dir: filepath.Join(s.o.dir, "kafka")})
			if err == nil {
				s.say.step("Apache Kafka %s %s", s.kafka.Version, s.kafka.Addr)
			}
			return err
		})
	}
	return g.Wait()
}

// version is what a server tells, without the number that MariaDB puts before its own
// for clients that knew MySQL's replication only.
func version(v *local.Server) string { return strings.TrimPrefix(v.Version, "5.5.5-") }

func (s *system) open(driver, dsn string) (*sql.DB, error) {
	db, err := sql.Open(driver, dsn)
	if err == nil {
		s.opened = append(s.opened, db)
	}
	return db, err
}

func (s *system) databases(ctx context.Context) error {
	m := s.servers[0]
	cfg := mysql.NewConfig()
	cfg.User, cfg.Passwd, cfg.Net, cfg.Addr = m.User, m.Password, "tcp", fmt.Sprintf("%s:%d", m.Host, m.Port)
	cfg.Params = map[string]string{"time_zone": "'+00:00'", "charset": "utf8mb4"}
	admin, err := s.open("mysql", cfg.FormatDSN())
	if err != nil {
		return err
	}
	if _, err := admin.ExecContext(ctx, "CREATE DATABASE xueji CHARACTER SET utf8mb4"); err != nil {
		return fmt.Errorf("make the database xueji: %w", err)
	}
	cfg.DBName = "xueji"
	enrolment, err := s.open("mysql", cfg.FormatDSN())
	if err != nil {
		return err
	}
	open := func(server *local.Server, name string) (*sql.DB, error) {
		admin, err := s.open("pgx", server.PostgresURL("postgres"))
		if err != nil {
			return nil, err
		}
		if _, err := admin.ExecContext(ctx, "CREATE DATABASE "+name); err != nil {
			return nil, fmt.Errorf("make the database %s: %w", name, err)
		}
		return s.open("pgx", server.PostgresURL(name))
	}
	scores, err := open(s.servers[1], "chengji")
	if err != nil {
		return err
	}
	for i, st := range s.stores {
		st.server = s.servers[2+i]
		if st.db, err = open(st.server, st.name); err != nil {
			return err
		}
	}
	if s.o.check == 0 {
		if err := s.liveDistrict(ctx, admin); err != nil {
			return err
		}
		if _, err := open(s.servers[2], "hub"); err != nil {
			return err
		}
	}
	s.districts = []*workload.District{workload.Enrolment(enrolment, s.o.seed), workload.Scores(scores, s.o.seed)}
	for _, d := range s.districts {
		if err := d.Setup(ctx); err != nil {
			return err
		}
	}
	s.say.step("表已建好 / tables made")
	return nil
}
