#!/usr/bin/env python3
"""Writes grafana/dashboards/*.json, one dashboard a view: resources, service, quality. Each has a row of panels a level
(region, cluster, instance), and these levels as variables. Standard library only.

    scripts/monitoring/make_dashboards.py
"""
import json
import pathlib

FOLDER = pathlib.Path(__file__).resolve().parent / "grafana" / "dashboards"
JOB = 'region=~"$region", job=~"$job"'
RANK = JOB + ', instance=~"$instance"'
WIDTH, HEIGHT = 8, 8  # of a panel, in units of Grafana's grid of 24 columns

REGION, CLUSTER, INSTANCE = "Region", "Cluster: the run", "Instance: the rank"

# View -> level -> panels: (title, unit, [(query, legend)], what to know).
VIEWS = {
    "resources": {
        REGION: [
            ("Cores in use", "none", [("sum by (region) (job:moesaic_rank_cpu_seconds:rate2m{J})", "{{region}}")],
             "Processor time of all ranks a second."),
            ("Memory", "bytes", [("sum by (region) (moesaic_rank_resident_memory_bytes{J})", "{{region}}")], ""),
            ("Ranks that run", "none", [("sum by (region) (moesaic_rank_runs{J})", "{{region}}")], ""),
        ],
        CLUSTER: [
            ("Cores in use", "none", [("job:moesaic_rank_cpu_seconds:rate2m{J}", "{{job}}")], ""),
            ("Memory", "bytes", [("sum by (job) (moesaic_rank_resident_memory_bytes{J})", "{{job}}"),
                                 ("moesaic_memory_peak_bytes{J}", "{{job}}, peak of rank 0")], ""),
            ("Disk", "bytes", [("moesaic_disk_free_bytes{J}", "{{job}}, free"),
                               ("moesaic_checkpoint_bytes{J}", "{{job}}, a checkpoint")],
             "Where the run folder is. A checkpoint is written beside those that are kept."),
        ],
        INSTANCE: [
            ("Cores in use", "none", [("rate(moesaic_rank_cpu_seconds_total{R}[2m])", "{{job}} {{instance}}")], ""),
            ("Memory", "bytes", [("moesaic_rank_resident_memory_bytes{R}", "{{job}} {{instance}}")], ""),
            ("Threads", "none", [("moesaic_rank_threads{R}", "{{job}} {{instance}}")], ""),
            ("Written to disks", "Bps", [("rate(moesaic_rank_written_bytes_total{R}[2m])", "{{job}} {{instance}}")], ""),
            ("Read from disks", "Bps", [("rate(moesaic_rank_read_bytes_total{R}[2m])", "{{job}} {{instance}}")], ""),
        ],
    },
    "service": {
        REGION: [
            ("Jobs that run", "none", [("sum by (region) (moesaic_running{J})", "{{region}}")], ""),
            ("Tokens a second", "none", [('region:moesaic_tokens_per_second:sum{region=~"$region"}', "{{region}}")], ""),
            ("Alerts", "none", [('count by (region) (ALERTS{alertstate="firing", alertname=~"Moesaic.*", region=~"$region"}) '
                                 "or vector(0)", "{{region}}")], "Rules that fire now."),
        ],
        CLUSTER: [
            ("Progress", "percentunit", [("job:moesaic_progress:ratio{J}", "{{job}}")], ""),
            ("Remaining", "s", [("job:moesaic_remaining:seconds{J}", "{{job}}")], "At the pace of ten minutes."),
            ("Tokens a second", "none", [("moesaic_tokens_per_second{J}", "{{job}}")], ""),
            ("Time of a step", "s", [("moesaic_step_seconds{J}", "{{job}}"),
                                     ("moesaic_sync_wait_seconds{J}", "{{job}}, waits for gradients"),
                                     ("moesaic_checkpoint_seconds{J}", "{{job}}, waits for checkpoints")],
             "Waits are summed since the row before."),
            ("Requests a second", "none", [("moesaic_items_per_second{J}", "{{job}}"), ("rate(moesaic_items{J}[2m])", "{{job}}, with waits")],
             "Of generate, score and eval: texts that are made, sequences that are scored."),
            ("Time of a request", "s", [("moesaic_latency_seconds{J}", "{{job}}")], "Of generate, score and eval."),
            ("Newest checkpoint", "s", [("time() - moesaic_checkpoint_timestamp_seconds{J}", "{{job}}, age")], ""),
            ("Restarts, spikes, skipped steps", "none", [("moesaic_restarts_total{J}", "{{job}}, restarts"),
                                                    ("moesaic_skipped_steps_total{J}", "{{job}}, skipped steps"),
                                                    ("moesaic_loss_spikes_total{J}", "{{job}}, loss spikes"),
                                                    ("moesaic_nonfinite_rows_total{J}", "{{job}}, rows not finite")], ""),
        ],
        INSTANCE: [
            ("Silence", "s", [("time() - moesaic_rank_progress_timestamp_seconds{R}", "{{job}} {{instance}}")],
             "Since the rank's last sign of life."),
            ("Time of a micro-batch", "s", [("moesaic_rank_compute_seconds{R}", "{{job}} {{instance}}, computes"),
                                            ("moesaic_rank_wait_seconds{R}", "{{job}} {{instance}}, waits")], ""),
            ("Collectives a second", "none", [("rate(moesaic_rank_collectives_total{R}[2m])", "{{job}} {{instance}}")], ""),
            ("Ranks that run", "none", [("moesaic_rank_runs{R}", "{{job}} {{instance}}")], "0: stopped or dead."),
            ("Straggler", "none", [("moesaic_straggler{R} or 0 * moesaic_rank_runs{R}", "{{job}} {{instance}}")],
             "1: holds the others up."),
        ],
    },
    "quality": {
        REGION: [
            ("Loss of the silos", "none", [("moesaic_silo_loss{J}", "{{job}} {{region}}")],
             "Of a federation: mean of the silo's local steps."),
            ("Round", "none", [("moesaic_round{J}", "{{job}}")], "Of a federation."),
        ],
        CLUSTER: [
            ("Loss", "none", [("moesaic_loss{J}", "{{job}}"), ("moesaic_valid_loss{J}", "{{job}}, validation")], ""),
            ("Other terms of the loss", "none", [("moesaic_loss_term{J}", "{{job}} {{term}}"),
                                                 ("moesaic_objective{J}", "{{job}}, sum of all")], ""),
            ("Accuracy", "percentunit", [("moesaic_valid_accuracy{J}", "{{job}}")], "Of models of images."),
            ("Gradient", "none", [("moesaic_grad_norm{J}", "{{job}}, norm"), ("moesaic_clip_factor{J}", "{{job}}, clip factor")], ""),
            ("Learning rate", "none", [("moesaic_learning_rate{J}", "{{job}}")], ""),
            ("Balance of the experts", "none", [("moesaic_max_violation{J}", "{{job}}, largest violation"),
                                                ("moesaic_dead_experts{J}", "{{job}}, dead experts")], ""),
            ("Entropy of the loads", "none", [("moesaic_layer_load_entropy{J}", "{{job}}, layer {{layer}}")], "1: all experts alike."),
            ("Load of the experts", "none", [("moesaic_expert_load_ratio{J}", "layer {{layer}}, expert {{expert}}")],
             "Over the even share."),
            ("Privacy", "none", [("moesaic_epsilon{J}", "{{job}}, epsilon"), ("moesaic_epsilon_budget{J}", "{{job}}, budget")], ""),
            ("Task", "none", [("moesaic_task{J}", "{{job}}")], "Of several that are learned one after the other."),
        ],
        INSTANCE: [
            ("Step", "none", [("moesaic_rank_step{R}", "{{job}} {{instance}}")], "Ranks of one model are at the same one."),
        ],
    },
}


def query(template):
    return template.replace("{J}", "{" + JOB + "}").replace("{R}", "{" + RANK + "}")


def panel(number, place, title, unit, targets, about):
    return {
        "id": number, "type": "timeseries", "title": title, "description": about,
        "datasource": {"type": "prometheus", "uid": "${datasource}"}, "gridPos": place,
        "fieldConfig": {"defaults": {"unit": unit, "custom": {"showPoints": "never"}}, "overrides": []},
        "options": {"legend": {"displayMode": "list", "placement": "bottom"}, "tooltip": {"mode": "multi"}},
        "targets": [{"refId": chr(ord("A") + i), "expr": query(expression), "legendFormat": legend}
                    for i, (expression, legend) in enumerate(targets)],
    }


def level_variable(name, label, values):
    return {"name": name, "label": label, "type": "query", "datasource": {"type": "prometheus", "uid": "${datasource}"},
            "query": {"query": values, "refId": name}, "refresh": 2, "includeAll": True, "allValue": ".*", "multi": True,
            "current": {"text": "All", "value": "$__all"}, "sort": 1}


def variables():
    return [{"name": "datasource", "label": "Prometheus", "type": "datasource", "query": "prometheus"},
            level_variable("region", REGION, 'label_values({__name__=~"moesaic_run_info|moesaic_silo_loss"}, region)'),
            level_variable("job", "Cluster", 'label_values(moesaic_run_info{region=~"$region"}, job)'),
            level_variable("instance", "Instance", f"label_values(moesaic_rank_step{{{JOB}}}, instance)")]


def dashboard(view, levels):
    panels, y = [], 0
    for level, contents in levels.items():
        panels.append({"id": len(panels) + 1, "type": "row", "title": level, "collapsed": False, "panels": [],
                       "gridPos": {"x": 0, "y": y, "w": 24, "h": 1}})
        y += 1
        for i, content in enumerate(contents):
            place = {"x": i * WIDTH % 24, "y": y + i * WIDTH // 24 * HEIGHT, "w": WIDTH, "h": HEIGHT}
            panels.append(panel(len(panels) + 1, place, *content))
        y += (len(contents) * WIDTH + 23) // 24 * HEIGHT
    return {"uid": f"moesaic-{view}", "title": f"Moesaic: {view}", "tags": ["moesaic"], "schemaVersion": 38, "version": 1,
            "editable": True, "refresh": "15s", "time": {"from": "now-1h", "to": "now"},
            "links": [{"type": "dashboards", "tags": ["moesaic"], "title": "Views", "asDropdown": False, "includeVars": True,
                       "keepTime": True}],
            "templating": {"list": variables()}, "panels": panels}


def main():
    FOLDER.mkdir(parents=True, exist_ok=True)
    for view, levels in VIEWS.items():
        (FOLDER / f"{view}.json").write_text(json.dumps(dashboard(view, levels), indent=1) + "\n")


if __name__ == "__main__":
    main()
