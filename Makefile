# Commands for people and for CI. Bare `make` prints help.
GO ?= go
# A number of inputs: with a time, go test reports the end of it as a failure now and then.
FUZZTIME ?= 20000x

# All but the race detector is built as it is shipped.
export CGO_ENABLED = 0

# VERSION of packages begins with a digit.
VERSION ?= 0.0.0+$(shell git rev-parse --short HEAD)

.PHONY: package bench bench-peers bench-tree demo help build test test-load test-verify test-gaps test-changes test-tables ci lint unit faults stopped fuzz servers test-matrix test-mysql test-container test-arm64
help:
	@echo "make build   编译到 bin/tributary      build bin/tributary"
	@echo "make package 静态程序与 Debian 软件包到 dist/  static programs and Debian packages, amd64 and arm64, in dist/ (VERSION=1.2.3)"
	@echo "make test    全部检查与测试            every check and test (what CI runs)"
	@echo "make demo    本机演示与页面（CHECK=1 自检并输出 JSON） the main job on this machine, with its page (CHECK=1: kill, compare, print JSON)"
	@echo "make bench   测量吞吐与延迟            measure rates and latency (ROWS=n REPEAT=n OUT=folder)"
	@echo "make bench-peers  同一次运行中与 Debezium 对比  the same beside Debezium, in one run (needs Java 17 and Maven)"
	@echo "make bench-tree  一万个数据源的延迟总览页      the tree page of a hub with SOURCES=10000: p95 and memory; one scrape of its metrics"
	@echo "make test-load  装载 300 张表、500 万行，边写边杀采集进程，逐值比对  a load of TABLES=300 tables, ROWS=5000000, KILLS=20 (SEED=n repeats), compared value by value"
	@echo "make test-verify  边写边核对 100 遍，不得误报；并找出、修复每种差异  compare stores with sources that are written, ROUNDS=100 times: no false alarm, each defect found and mended"
	@echo "make test-gaps  逐一制造每种缺口并修复     every kind of gap on real servers, found and repaired"
	@echo "make test-changes  各种 DDL 与写入并行，随机杀死进程，逐值比对  every kind of DDL beside rows on each server, the agent killed KILLS=20 times (SEED=n repeats), compared value by value"
	@echo "make test-tables  一个数据源 10000 张表，重启所需时间  a source of TABLES=10000 tables: what a restart takes"
	@echo "make faults  随机故障（SEED=n 重放，FAULTS=n 次数）  break anything at random (SEED=n repeats, FAULTS=n how often)"
	@echo "make stopped 应用程序在 COPY 中被冻结（STOPPED=1m）  a worker frozen inside a COPY, for STOPPED=1m"
	@echo "make test-mysql  在 MySQL 上测试            the reader, and the whole way, on MySQL"
	@echo "make test-matrix 在全部版本的源库上测试      the readers, the first load and every type on every release (capture/SERVERS.md)"
	@echo "make test-container  在容器中的 PostgreSQL 上测试  the store's tests in a container (needs a Docker engine)"
	@echo "make test-arm64  以 QEMU 运行 arm64 程序     the program for arm64 under QEMU (qemu-user-static), from a source to a store"
	@echo "make servers 预取测试所用的服务器      fetch the servers that tests start"
	@echo "make fuzz    模糊测试                  fuzz each decoder (FUZZTIME=1000000x)"

build:
	$(GO) build -o bin/tributary ./cmd/tributary

# The packages' help and examples come from the program for this machine.
package: build
	@for arch in amd64 arm64; do \
		GOOS=linux GOARCH=$$arch $(GO) build -trimpath -ldflags "-s -w -X main.version=$(VERSION)" -o dist/$$arch/tributary ./cmd/tributary && \
		$(GO) run ./deploy/package -program dist/$$arch/tributary -asks bin/tributary -arch $$arch -version "$(VERSION)" -out dist || exit 1; \
	done; mkdir -p dist/state

# Runs a command and says every now and then that it isn't done yet.
patiently = (t=$$(date +%s); while sleep 1.5; do echo "… 编译中 / compiling $$(($$(date +%s) - t)) s"; done) & dots=$$!; $(1); code=$$?; kill $$dots; exit $$code

# SEED=n repeats a check, DIR is the data folder, LOG=kafka runs on Apache Kafka, PAGE is the page's address.
demo:
	@echo "编译（首次约 1 至 3 分钟） / compiling (1 to 3 minutes the first time)"
	@begun=$$(date +%s); ($(call patiently,$(GO) build -o bin/tributary ./cmd/tributary && $(GO) build -o bin/demo ./deploy/demo)) && \
	exec ./bin/demo -begun $$begun $(if $(CHECK),-check 30s) $(if $(LOG),-log $(LOG)) $(if $(SEED),-seed $(SEED)) $(if $(DIR),-dir $(DIR)) $(if $(PAGE),-page $(PAGE))

# ROWS, REPEAT, ONLY (parts: mariadb,apply,single,latency,peers,load,postgres), CODECS and
# OUT change a run; the report tells machine, versions and repetitions. bench-peers
# runs Debezium beside us, from Maven Central.
bench bench-peers: build
	$(GO) build -o bin/bench ./test/bench
	./bin/bench $(if $(filter bench-peers,$@),-peers) -commit $$(git describe --always --dirty || echo unknown) $(if $(ROWS),-rows $(ROWS)) $(if $(REPEAT),-repeat $(REPEAT)) \
		$(if $(ONLY),-only $(ONLY)) $(if $(CODECS),-codecs $(CODECS)) $(if $(OUT),-out $(OUT))

bench-tree:
	TRIBUTARY_SCALE=$(or $(SOURCES),10000) $(GO) test -count=1 -v -run '^TestDesk$$/^scale$$' ./cmd/hub/desk
	TRIBUTARY_SCALE=$(or $(SOURCES),10000) $(GO) test -count=1 -v -run '^TestHubMetrics$$' ./cmd/tributary

ci: test

# Each part prints its time.
test:
	@$(call timed,lint)
	@$(call timed,fuzz)
	@$(call timed,servers)
	@$(call timed,unit)

define timed
begin=$$(date +%s); $(MAKE) --no-print-directory $(1) && echo "== $(1): $$(($$(date +%s) - begin)) s"
endef

# Whoever runs without it waits for downloads within the tests.
servers:
	$(GO) run ./test/servers/fetch

lint:
	@test -z "$$(gofmt -l .)" || { gofmt -l .; echo "not formatted"; exit 1; }
	$(GO) vet ./...
	$(GO) tool staticcheck ./...

# Which servers ran is printed at the end. The packages that take longest begin first, and
# three run at once: their tests wait for servers most of the time. The race detector
# needs cgo.
unit test-container: export CGO_ENABLED = 1
longest = ./test/e2e ./capture/postgres ./capture/mysql ./test/faults ./test/contract ./sinks/postgres
unit:
	@ran=$$(mktemp) && trap 'rm -f '$$ran EXIT && TRIBUTARY_SERVERS_RAN=$$ran $(GO) test -race -count=1 -p 3 -timeout 20m $(longest) ./...; result=$$?; \
	echo "== servers that ran, and how often"; sort $$ran | uniq -c; exit $$result

# The store's suite on PostgreSQL in a container, and the program in its image. Needs a
# Docker engine (DOCKER_HOST).
test-container: export TRIBUTARY_SERVERS = container
test-container: export TESTCONTAINERS_RYUK_DISABLED = true
test-container: export TESTCONTAINERS_HOST_OVERRIDE = 127.0.0.1
test-container:
	@ran=$$(mktemp) && trap 'rm -f '$$ran EXIT && TRIBUTARY_SERVERS_RAN=$$ran $(GO) test -race -count=1 -run '^(TestStore|TestImage)$$' ./sinks/postgres ./deploy/container && \
	cat $$ran && grep -q 'in a container of' $$ran

# QEMU is Debian's qemu-user-static.
test-arm64:
	TRIBUTARY_QEMU=$(or $(QEMU),$(shell command -v qemu-aarch64-static),qemu-aarch64-static) $(GO) test -tags qemu -count=1 -v -run '^TestArm64$$' ./deploy/package

# Every release of capture/SERVERS.md. The table at the end is what ran.
test-matrix: export TRIBUTARY_MATRIX = all
test-matrix: servers
	@parts=$$(mktemp) && trap 'rm -f '$$parts EXIT && export TRIBUTARY_MATRIX_PARTS=$$parts; \
	$(GO) test -count=1 -timeout 60m -run '^(TestReader|TestTypesOf|TestLook)' ./capture/postgres ./capture/mysql ./capture/sample ./test/e2e; result=$$?; \
	$(GO) run ./test/servers/matrix $$parts && exit $$result

test-mysql:
	$(GO) test -count=1 -run 'Reader/MySQL|Gaps/MySQL|MySQL57|PartialJSON|Microseconds|MySQLKilled|TablesWithoutKeys' ./capture/mysql ./test/e2e

# Needs about 15 GB of disk; how long it takes depends on the machine.
test-load:
	TABLES=$(or $(TABLES),300) ROWS=$(or $(ROWS),5000000) KILLS=$(or $(KILLS),20) SEED=$(SEED) $(GO) test -count=1 -timeout 4h -v -run TestWholeDatabase ./test/e2e

test-verify:
	for engine in mariadb mysql; do TRIBUTARY_VERIFY_ENGINE=$$engine TRIBUTARY_VERIFY_ROUNDS=$(or $(ROUNDS),100) $(GO) test -count=1 -timeout 60m -v -run 'TestVerify$$' ./test/e2e || exit 1; done

# Each prints its causes. CI runs those that take no time.
test-gaps:
	GAPS=all $(GO) test -count=1 -timeout 30m -v -run 'TestGapsOf|TestAttack23|TestFailover' ./test/e2e

# ON chooses servers, e.g. ON=PostgreSQL_10.
test-changes:
	KILLS=$(or $(KILLS),20) SEED=$(SEED) $(GO) test -tags changes -count=1 -timeout 60m -v -run 'TestTablesChange/$(ON)' ./test/e2e

test-tables:
	TABLES=$(or $(TABLES),10000) $(GO) test -count=1 -timeout 30m -v -run 'TestManyTables' ./capture/postgres ./capture/mysql

faults:
	FAULTS=$(or $(FAULTS),60) $(GO) test -count=1 -timeout 60m -v -run 'KilledAnywhere|AnythingBreaks' ./test/e2e ./test/faults

stopped:
	STOPPED=$(or $(STOPPED),1m) $(GO) test -count=1 -v -run 'TestAttack15' ./test/faults

fuzz:
	$(GO) test -run '^$$' -fuzz FuzzParse$$ -fuzztime $(FUZZTIME) ./capture/postgres/pgoutput
	$(GO) test -run '^$$' -fuzz FuzzParse$$ -fuzztime $(FUZZTIME) ./capture/postgres
	$(GO) test -run '^$$' -fuzz FuzzDecode$$ -fuzztime $(FUZZTIME) ./capture/mysql/rowimage
	$(GO) test -run '^$$' -fuzz FuzzDifferences$$ -fuzztime $(FUZZTIME) ./capture/mysql/rowimage
	$(GO) test -run '^$$' -fuzz FuzzStatement$$ -fuzztime $(FUZZTIME) ./capture/mysql
	$(GO) test -run '^$$' -fuzz FuzzParseRows$$ -fuzztime $(FUZZTIME) ./capture/mysql
	$(GO) test -run '^$$' -fuzz FuzzEvent$$ -fuzztime $(FUZZTIME) ./capture/mysql
	$(GO) test -run '^$$' -fuzz FuzzTableMap$$ -fuzztime $(FUZZTIME) ./capture/mysql
	$(GO) test -run '^$$' -fuzz FuzzParse$$ -fuzztime $(FUZZTIME) ./capture/mysql/definition
	$(GO) test -run '^$$' -fuzz FuzzDecode$$ -fuzztime $(FUZZTIME) ./stream/envelope
	$(GO) test -run '^$$' -fuzz FuzzDecodeJSON$$ -fuzztime $(FUZZTIME) ./stream/envelope
	$(GO) test -run '^$$' -fuzz FuzzParseControl$$ -fuzztime $(FUZZTIME) ./stream/envelope
	$(GO) test -run '^$$' -fuzz FuzzDecodeBatch$$ -fuzztime $(FUZZTIME) ./stream/kafka
	$(GO) test -run '^$$' -fuzz FuzzLZ4$$ -fuzztime $(FUZZTIME) ./stream/kafka
	$(GO) test -run '^$$' -fuzz FuzzRecords$$ -fuzztime $(FUZZTIME) ./stream/log
	$(GO) test -run '^$$' -fuzz FuzzGuess$$ -fuzztime $(FUZZTIME) ./schema/personal
