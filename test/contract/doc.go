// Package contract attacks the log from outside: agents that die, come back late or
// come twice, brokers that forget, topics that change under their readers. Pipelines
// and workers of the product run over the embedded log and over Apache Kafka, with a
// real store at the end. It decides what is done to them and what must be left.
package contract
