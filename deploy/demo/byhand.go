package main

import (
	"context"
	"database/sql"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/go-sql-driver/mysql"
)

// byHand inserts a class into the demo that runs in dir, for a machine without a
// client of its own, and prints the statement.
func byHand(ctx context.Context, dir string, port, number int) error {
	password, err := os.ReadFile(filepath.Join(dir, "xueji", "password"))
	if err != nil {
		return fmt.Errorf("没有演示在运行 / no demo runs in %s: %w", dir, err)
	}
	cfg := mysql.NewConfig()
	cfg.User, cfg.Passwd, cfg.Net, cfg.Addr, cfg.DBName = "root", strings.TrimSpace(string(password)), "tcp", fmt.Sprintf("127.0.0.1:%d", port), "xueji"
	cfg.Params = map[string]string{"charset": "utf8mb4"}
	db, err := sql.Open("mysql", cfg.FormatDSN())
	if err != nil {
		return fmt.Errorf("open xueji: %w", err)
	}
	defer func() { _ = db.Close() }() // the statement's own answer counts
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	statement := insertClass(fmt.Sprint(number))
	if _, err := db.ExecContext(ctx, statement); err != nil {
		return fmt.Errorf("insert into xueji on port %d: %w", port, err)
	}
	_, err = fmt.Println(statement)
	return err
}

// insertClass is the statement that inserts a class by hand.
func insertClass(number string) string {
	return fmt.Sprintf("INSERT INTO class VALUES (%s, '2133000001', '手工班', '2026')", number)
}
