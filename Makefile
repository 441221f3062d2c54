# Commands for people and for CI. Bare `make` prints help.
GO ?= go
# A number of inputs: with a time, go test reports the end of it as a failure now and then.
FUZZTIME ?= 50000x

.PHONY: bench demo help build test ci lint unit faults stopped fuzz test-mysql
help:
	@echo "make build   编译到 bin/tributary      build bin/tributary"
	@echo "make test    全部检查与测试            every check and test (what CI runs)"
	@echo "make demo    本机演示与页面（CHECK=1 自检并输出 JSON） the main job on this machine, with its page (CHECK=1: kill, compare, print JSON)"
	@echo "make bench   测量吞吐与延迟            measure rates and latency (ROWS=n REPEAT=n OUT=folder)"
	@echo "make faults  随机故障（SEED=n 重放，FAULTS=n 次数）  break anything at random (SEED=n repeats, FAULTS=n how often)"
	@echo "make stopped 应用程序在 COPY 中被冻结（STOPPED=1m）  a worker frozen inside a COPY, for STOPPED=1m"
	@echo "make test-mysql  在 MySQL 上测试读取器      the reader on MySQL (needs its mysqld)"
	@echo "make fuzz    模糊测试                  fuzz each decoder (FUZZTIME=1000000x)"

build:
	$(GO) build -o bin/tributary ./cmd/tributary

# Runs a command and says every now and then that it isn't done yet.
patiently = (while sleep 1.5; do echo "… 编译中 / compiling"; done) & dots=$$!; $(1); code=$$?; kill $$dots; exit $$code

# SEED=n repeats a check, DIR is the data folder, LOG=kafka runs on Apache Kafka, PAGE is the page's address.
demo:
	@echo "编译 / compiling"
	@$(call patiently,$(GO) build -o bin/tributary ./cmd/tributary && $(GO) build -o bin/demo ./deploy/demo)
	@./bin/demo $(if $(CHECK),-check 30s) $(if $(LOG),-log $(LOG)) $(if $(SEED),-seed $(SEED)) $(if $(DIR),-dir $(DIR)) $(if $(PAGE),-page $(PAGE))

# ROWS, REPEAT and OUT change a run; the report tells machine, versions and repetitions.
bench: build
	$(GO) build -o bin/bench ./test/bench
	./bin/bench -commit $$(git rev-parse --short HEAD) $(if $(ROWS),-rows $(ROWS)) $(if $(REPEAT),-repeat $(REPEAT)) $(if $(OUT),-out $(OUT))

ci: test
test: lint fuzz unit

lint:
	@test -z "$$(gofmt -l .)" || { gofmt -l .; echo "not formatted"; exit 1; }
	$(GO) vet ./...
	$(GO) tool staticcheck ./...

unit:
	$(GO) test -race -count=1 -timeout 10m ./...

# Needs mysqld of MySQL itself; MariaDB is part of unit.
test-mysql:
	$(GO) test -count=1 -tags mysql ./capture/mysql

faults:
	FAULTS=$(or $(FAULTS),60) $(GO) test -count=1 -timeout 60m -v -run 'KilledAnywhere|AnythingBreaks' ./test/e2e ./test/faults

stopped:
	STOPPED=$(or $(STOPPED),1m) $(GO) test -count=1 -v -run 'TestAttack15' ./test/faults

fuzz:
	$(GO) test -run '^$$' -fuzz FuzzParse$$ -fuzztime $(FUZZTIME) ./capture/postgres/pgoutput
	$(GO) test -run '^$$' -fuzz FuzzParse$$ -fuzztime $(FUZZTIME) ./capture/postgres
	$(GO) test -run '^$$' -fuzz FuzzDecode$$ -fuzztime $(FUZZTIME) ./capture/mysql/rowimage
	$(GO) test -run '^$$' -fuzz FuzzStatement$$ -fuzztime $(FUZZTIME) ./capture/mysql
	$(GO) test -run '^$$' -fuzz FuzzParseRows$$ -fuzztime $(FUZZTIME) ./capture/mysql
	$(GO) test -run '^$$' -fuzz FuzzDecode$$ -fuzztime $(FUZZTIME) ./stream/envelope
	$(GO) test -run '^$$' -fuzz FuzzDecodeJSON$$ -fuzztime $(FUZZTIME) ./stream/envelope
	$(GO) test -run '^$$' -fuzz FuzzParseControl$$ -fuzztime $(FUZZTIME) ./stream/envelope
	$(GO) test -run '^$$' -fuzz FuzzDecodeBatch$$ -fuzztime $(FUZZTIME) ./stream/kafka
	$(GO) test -run '^$$' -fuzz FuzzRecords$$ -fuzztime $(FUZZTIME) ./stream/log
