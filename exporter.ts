import type { Dashboard } from '@grafana/schema';
export const d: Dashboard = {
  "annotations": {
    "list": []
  },
  "description": "Freshness, calls, errors, throttling and costs of swr-exporter, a line a replica.",
  "editable": true,
  "graphTooltip": 1,
  "links": [
    {
      "asDropdown": false,
      "icon": "external link",
      "includeVars": true,
      "keepTime": true,
      "tags": [
        "swr-exporter"
      ],
      "targetBlank": false,
      "title": "SWR",
      "tooltip": "",
      "type": "dashboards"
    }
  ],
  "panels": [
    {
      "collapsed": false,
      "gridPos": {
        "h": 1,
        "w": 24,
        "x": 0,
        "y": 0
      },
      "id": 1,
      "panels": [],
      "title": "State",
      "type": "row"
    },
    {
      "datasource": {
        "type": "prometheus",
        "uid": "${datasource}"
      },
      "description": "Whether the latest refresh of every account was complete.",
      "fieldConfig": {
        "defaults": {
          "links": [],
          "noValue": "no data yet",
          "thresholds": {
            "mode": "absolute" as any,
            "steps": [
              {
                "color": "red",
                "value": null
              },
              {
                "color": "yellow",
                "value": 1.0
              },
              {
                "color": "green",
                "value": 1.0
              }
            ]
          },
          "unit": "bool_yes_no"
        },
        "overrides": []
      },
      "gridPos": {
        "h": 4,
        "w": 4,
        "x": 0,
        "y": 1
      },
      "id": 2,
      "options": {
        "colorMode": "value",
        "graphMode": "none",
        "reduceOptions": {
          "calcs": [
            "lastNotNull"
          ],
          "fields": "",
          "values": false
        },
        "textMode": "auto"
      },
      "targets": [
        {
          "datasource": {
            "type": "prometheus",
            "uid": "${datasource}"
          },
          "expr": "min(swr_up{job=~\"$job\", account=~\"$account\", instance=~\"$instance\"})",
          "format": "time_series",
          "instant": true,
          "legendFormat": "__auto",
          "range": false,
          "refId": "A"
        }
      ],
      "title": "Complete",
      "type": "stat"
    },
    {
      "datasource": {
        "type": "prometheus",
        "uid": "${datasource}"
      },
      "description": "Time since the data of the slowest account was read.",
      "fieldConfig": {
        "defaults": {
          "links": [
            {
              "title": "Show the overview",
              "url": "/d/swr-overview?${datasource:queryparam}&${job:queryparam}&${account:queryparam}&${__url_time_range}"
            }
          ],
          "noValue": "no data yet",
          "thresholds": {
            "mode": "absolute" as any,
            "steps": [
              {
                "color": "green",
                "value": null
              },
              {
                "color": "yellow",
                "value": 900.0
              },
              {
                "color": "red",
                "value": 3600.0
              }
            ]
          },
          "unit": "s"
        },
        "overrides": []
      },
      "gridPos": {
        "h": 4,
        "w": 4,
        "x": 4,
        "y": 1
      },
      "id": 3,
      "options": {
        "colorMode": "value",
        "graphMode": "none",
        "reduceOptions": {
          "calcs": [
            "lastNotNull"
          ],
          "fields": "",
          "values": false
        },
        "textMode": "auto"
      },
      "targets": [
        {
          "datasource": {
            "type": "prometheus",
            "uid": "${datasource}"
          },
          "expr": "max(clamp_min(time() - swr_snapshot_timestamp_seconds{job=~\"$job\", account=~\"$account\", instance=~\"$instance\"}, 0))",
          "format": "time_series",
          "instant": true,
          "legendFormat": "__auto",
          "range": false,
          "refId": "A"
        }
      ],
      "title": "Age of the data",
      "type": "stat"
    },
    {
      "datasource": {
        "type": "prometheus",
        "uid": "${datasource}"
      },
      "description": "Series of repositories and organisations on the largest page; compare with the sample_limit of the scrape configuration.",
      "fieldConfig": {
        "defaults": {
          "links": [],
          "noValue": "no data yet",
          "thresholds": {
            "mode": "absolute" as any,
            "steps": [
              {
                "color": "text",
                "value": null
              }
            ]
          },
          "unit": "short"
        },
        "overrides": []
      },
      "gridPos": {
        "h": 4,
        "w": 4,
        "x": 8,
        "y": 1
      },
      "id": 4,
      "options": {
        "colorMode": "value",
        "graphMode": "none",
        "reduceOptions": {
          "calcs": [
            "lastNotNull"
          ],
          "fields": "",
          "values": false
        },
        "textMode": "auto"
      },
      "targets": [
        {
          "datasource": {
            "type": "prometheus",
            "uid": "${datasource}"
          },
          "expr": "max(swr_exporter_page_series{job=~\"$job\", account=~\"$account\", instance=~\"$instance\"})",
          "format": "time_series",
          "instant": true,
          "legendFormat": "__auto",
          "range": false,
          "refId": "A"
        }
      ],
      "title": "Series",
      "type": "stat"
    },
    {
      "datasource": {
        "type": "prometheus",
        "uid": "${datasource}"
      },
      "description": "Time until the credential in use expires. It is renewed when five minutes are left.",
      "fieldConfig": {
        "defaults": {
          "links": [],
          "noValue": "never, or not known",
          "thresholds": {
            "mode": "absolute" as any,
            "steps": [
              {
                "color": "red",
                "value": null
              },
              {
                "color": "yellow",
                "value": 240.0
              },
              {
                "color": "green",
                "value": 300.0
              }
            ]
          },
          "unit": "s"
        },
        "overrides": []
      },
      "gridPos": {
        "h": 4,
        "w": 4,
        "x": 12,
        "y": 1
      },
      "id": 5,
      "options": {
        "colorMode": "value",
        "graphMode": "none",
        "reduceOptions": {
          "calcs": [
            "lastNotNull"
          ],
          "fields": "",
          "values": false
        },
        "textMode": "auto"
      },
      "targets": [
        {
          "datasource": {
            "type": "prometheus",
            "uid": "${datasource}"
          },
          "expr": "min(swr_credential_expiry_timestamp_seconds{job=~\"$job\", account=~\"$account\", instance=~\"$instance\"} - time())",
          "format": "time_series",
          "instant": true,
          "legendFormat": "__auto",
          "range": false,
          "refId": "A"
        }
      ],
      "title": "Credential ends in",
      "type": "stat"
    },
    {
      "datasource": {
        "type": "prometheus",
        "uid": "${datasource}"
      },
      "description": "Whether calls are held back because the API failed repeatedly.",
      "fieldConfig": {
        "defaults": {
          "links": [],
          "noValue": "no data yet",
          "thresholds": {
            "mode": "absolute" as any,
            "steps": [
              {
                "color": "green",
                "value": null
              },
              {
                "color": "yellow",
                "value": 1.0
              },
              {
                "color": "red",
                "value": 1.0
              }
            ]
          },
          "unit": "bool_yes_no"
        },
        "overrides": []
      },
      "gridPos": {
        "h": 4,
        "w": 4,
        "x": 16,
        "y": 1
      },
      "id": 6,
      "options": {
        "colorMode": "value",
        "graphMode": "none",
        "reduceOptions": {
          "calcs": [
            "lastNotNull"
          ],
          "fields": "",
          "values": false
        },
        "textMode": "auto"
      },
      "targets": [
        {
          "datasource": {
            "type": "prometheus",
            "uid": "${datasource}"
          },
          "expr": "max(swr_api_circuit_open{job=~\"$job\", account=~\"$account\", instance=~\"$instance\"})",
          "format": "time_series",
          "instant": true,
          "legendFormat": "__auto",
          "range": false,
          "refId": "A"
        }
      ],
      "title": "Calls held back",
      "type": "stat"
    },
    {
      "datasource": {
        "type": "prometheus",
        "uid": "${datasource}"
      },
      "description": "How far the API's clock is from that of an exporter, ahead or behind. Signatures fail from 15 minutes on, unless they are made by the API's clock, as they are once one was refused.",
      "fieldConfig": {
        "defaults": {
          "links": [],
          "noValue": "no data yet",
          "thresholds": {
            "mode": "absolute" as any,
            "steps": [
              {
                "color": "green",
                "value": null
              },
              {
                "color": "yellow",
                "value": 60.0
              },
              {
                "color": "red",
                "value": 900.0
              }
            ]
          },
          "unit": "s"
        },
        "overrides": []
      },
      "gridPos": {
        "h": 4,
        "w": 4,
        "x": 20,
        "y": 1
      },
      "id": 7,
      "options": {
        "colorMode": "value",
        "graphMode": "none",
        "reduceOptions": {
          "calcs": [
            "lastNotNull"
          ],
          "fields": "",
          "values": false
        },
        "textMode": "auto"
      },
      "targets": [
        {
          "datasource": {
            "type": "prometheus",
            "uid": "${datasource}"
          },
          "expr": "max(abs(swr_api_clock_skew_seconds{job=~\"$job\", account=~\"$account\", instance=~\"$instance\"}))",
          "format": "time_series",
          "instant": true,
          "legendFormat": "__auto",
          "range": false,
          "refId": "A"
        }
      ],
      "title": "Clock skew",
      "type": "stat"
    },
    {
      "collapsed": false,
      "gridPos": {
        "h": 1,
        "w": 24,
        "x": 0,
        "y": 5
      },
      "id": 8,
      "panels": [],
      "title": "Collection",
      "type": "row"
    },
    {
      "datasource": {
        "type": "prometheus",
        "uid": "${datasource}"
      },
      "description": "Time since the data was read. It swings up to the caching window and the time of a refresh.",
      "fieldConfig": {
        "defaults": {
          "custom": {
            "fillOpacity": 8,
            "showPoints": "never"
          },
          "links": [],
          "min": 0,
          "noValue": "no data yet",
          "thresholds": {
            "mode": "absolute" as any,
            "steps": [
              {
                "color": "text",
                "value": null
              }
            ]
          },
          "unit": "s"
        },
        "overrides": []
      },
      "gridPos": {
        "h": 8,
        "w": 12,
        "x": 0,
        "y": 6
      },
      "id": 9,
      "options": {
        "legend": {
          "displayMode": "list",
          "placement": "bottom",
          "showLegend": true
        },
        "tooltip": {
          "mode": "multi",
          "sort": "desc"
        }
      },
      "targets": [
        {
          "datasource": {
            "type": "prometheus",
            "uid": "${datasource}"
          },
          "expr": "time() - swr_snapshot_timestamp_seconds{job=~\"$job\", account=~\"$account\", instance=~\"$instance\"}",
          "format": "time_series",
          "instant": false,
          "legendFormat": "{{instance}} {{account}}",
          "range": true,
          "refId": "A"
        },
        {
          "datasource": {
            "type": "prometheus",
            "uid": "${datasource}"
          },
          "expr": "max(swr_cache_window_seconds{job=~\"$job\", account=~\"$account\", instance=~\"$instance\"})",
          "format": "time_series",
          "instant": false,
          "legendFormat": "caching window",
          "range": true,
          "refId": "B"
        }
      ],
      "title": "Age of the data by instance",
      "type": "timeseries"
    },
    {
      "datasource": {
        "type": "prometheus",
        "uid": "${datasource}"
      },
      "description": "How long the latest refresh took.",
      "fieldConfig": {
        "defaults": {
          "custom": {
            "fillOpacity": 8,
            "showPoints": "never"
          },
          "links": [],
          "min": 0,
          "noValue": "no data yet",
          "thresholds": {
            "mode": "absolute" as any,
            "steps": [
              {
                "color": "text",
                "value": null
              }
            ]
          },
          "unit": "s"
        },
        "overrides": []
      },
      "gridPos": {
        "h": 8,
        "w": 12,
        "x": 12,
        "y": 6
      },
      "id": 10,
      "options": {
        "legend": {
          "displayMode": "list",
          "placement": "bottom",
          "showLegend": true
        },
        "tooltip": {
          "mode": "multi",
          "sort": "desc"
        }
      },
      "targets": [
        {
          "datasource": {
            "type": "prometheus",
            "uid": "${datasource}"
          },
          "expr": "swr_refresh_duration_seconds{job=~\"$job\", account=~\"$account\", instance=~\"$instance\"}",
          "format": "time_series",
          "instant": false,
          "legendFormat": "{{instance}} {{account}}",
          "range": true,
          "refId": "A"
        }
      ],
      "title": "Time of a refresh",
      "type": "timeseries"
    },
    {
      "datasource": {
        "type": "prometheus",
        "uid": "${datasource}"
      },
      "description": "Refreshes that ended, and of these the failed ones by reason.",
      "fieldConfig": {
        "defaults": {
          "custom": {
            "fillOpacity": 8,
            "showPoints": "never"
          },
          "links": [],
          "min": 0,
          "noValue": "no data yet",
          "thresholds": {
            "mode": "absolute" as any,
            "steps": [
              {
                "color": "text",
                "value": null
              }
            ]
          },
          "unit": "short"
        },
        "overrides": []
      },
      "gridPos": {
        "h": 8,
        "w": 8,
        "x": 0,
        "y": 14
      },
      "id": 11,
      "options": {
        "legend": {
          "displayMode": "list",
          "placement": "bottom",
          "showLegend": true
        },
        "tooltip": {
          "mode": "multi",
          "sort": "desc"
        }
      },
      "targets": [
        {
          "datasource": {
            "type": "prometheus",
            "uid": "${datasource}"
          },
          "expr": "3600 * sum(rate(swr_refreshes_total{job=~\"$job\", account=~\"$account\", instance=~\"$instance\"}[$__rate_interval]))",
          "format": "time_series",
          "instant": false,
          "legendFormat": "all",
          "range": true,
          "refId": "A"
        },
        {
          "datasource": {
            "type": "prometheus",
            "uid": "${datasource}"
          },
          "expr": "3600 * sum by (reason) (rate(swr_refresh_failures_total{job=~\"$job\", account=~\"$account\", instance=~\"$instance\"}[$__rate_interval])) > 0",
          "format": "time_series",
          "instant": false,
          "legendFormat": "failed: {{reason}}",
          "range": true,
          "refId": "B"
        }
      ],
      "title": "Refreshes per hour",
      "type": "timeseries"
    },
    {
      "datasource": {
        "type": "prometheus",
        "uid": "${datasource}"
      },
      "description": "Whether the latest read of each collector was complete.",
      "fieldConfig": {
        "defaults": {
          "custom": {
            "fillOpacity": 70,
            "lineWidth": 0
          },
          "links": [],
          "mappings": [
            {
              "options": {
                "0": {
                  "color": "red",
                  "index": 0,
                  "text": "failed"
                },
                "1": {
                  "color": "green",
                  "index": 1,
                  "text": "complete"
                }
              },
              "type": "value" as any
            }
          ],
          "noValue": "no data yet",
          "thresholds": {
            "mode": "absolute" as any,
            "steps": [
              {
                "color": "text",
                "value": null
              }
            ]
          },
          "unit": "short"
        },
        "overrides": []
      },
      "gridPos": {
        "h": 8,
        "w": 8,
        "x": 8,
        "y": 14
      },
      "id": 12,
      "options": {
        "legend": {
          "displayMode": "list",
          "placement": "bottom",
          "showLegend": true
        },
        "mergeValues": true,
        "rowHeight": 0.8,
        "showValue": "never",
        "tooltip": {
          "mode": "single"
        }
      },
      "targets": [
        {
          "datasource": {
            "type": "prometheus",
            "uid": "${datasource}"
          },
          "expr": "min by (collector) (swr_collector_up{job=~\"$job\", account=~\"$account\", instance=~\"$instance\"})",
          "format": "time_series",
          "instant": false,
          "legendFormat": "{{collector}}",
          "range": true,
          "refId": "A"
        }
      ],
      "title": "Collectors",
      "type": "state-timeline"
    },
    {
      "datasource": {
        "type": "prometheus",
        "uid": "${datasource}"
      },
      "description": "Repositories whose tags are known to be out of date. Needs the collector tags.",
      "fieldConfig": {
        "defaults": {
          "custom": {
            "fillOpacity": 8,
            "showPoints": "never"
          },
          "links": [],
          "min": 0,
          "noValue": "collector tags is off",
          "thresholds": {
            "mode": "absolute" as any,
            "steps": [
              {
                "color": "text",
                "value": null
              }
            ]
          },
          "unit": "short"
        },
        "overrides": []
      },
      "gridPos": {
        "h": 8,
        "w": 8,
        "x": 16,
        "y": 14
      },
      "id": 13,
      "options": {
        "legend": {
          "displayMode": "list",
          "placement": "bottom",
          "showLegend": true
        },
        "tooltip": {
          "mode": "multi",
          "sort": "desc"
        }
      },
      "targets": [
        {
          "datasource": {
            "type": "prometheus",
            "uid": "${datasource}"
          },
          "expr": "swr_tags_pending{job=~\"$job\", account=~\"$account\", instance=~\"$instance\"}",
          "format": "time_series",
          "instant": false,
          "legendFormat": "{{instance}} {{account}}",
          "range": true,
          "refId": "A"
        }
      ],
      "title": "Tags pending",
      "type": "timeseries"
    },
    {
      "datasource": {
        "type": "prometheus",
        "uid": "${datasource}"
      },
      "description": "What was noticed while lists were read, per hour. It is dealt with; much of it makes refreshes longer.",
      "fieldConfig": {
        "defaults": {
          "custom": {
            "fillOpacity": 8,
            "showPoints": "never"
          },
          "links": [],
          "min": 0,
          "noValue": "none",
          "thresholds": {
            "mode": "absolute" as any,
            "steps": [
              {
                "color": "text",
                "value": null
              }
            ]
          },
          "unit": "short"
        },
        "overrides": []
      },
      "gridPos": {
        "h": 8,
        "w": 12,
        "x": 0,
        "y": 22
      },
      "id": 14,
      "options": {
        "legend": {
          "displayMode": "list",
          "placement": "bottom",
          "showLegend": true
        },
        "tooltip": {
          "mode": "multi",
          "sort": "desc"
        }
      },
      "targets": [
        {
          "datasource": {
            "type": "prometheus",
            "uid": "${datasource}"
          },
          "expr": "3600 * sum by (kind) (rate(swr_listing_inconsistencies_total{job=~\"$job\", account=~\"$account\", instance=~\"$instance\"}[$__rate_interval]))",
          "format": "time_series",
          "instant": false,
          "legendFormat": "{{kind}}",
          "range": true,
          "refId": "A"
        }
      ],
      "title": "Signs of a list that moved",
      "type": "timeseries"
    },
    {
      "datasource": {
        "type": "prometheus",
        "uid": "${datasource}"
      },
      "description": "Values of the API that could not be understood, per hour.",
      "fieldConfig": {
        "defaults": {
          "custom": {
            "fillOpacity": 8,
            "showPoints": "never"
          },
          "links": [],
          "min": 0,
          "noValue": "none",
          "thresholds": {
            "mode": "absolute" as any,
            "steps": [
              {
                "color": "text",
                "value": null
              }
            ]
          },
          "unit": "short"
        },
        "overrides": []
      },
      "gridPos": {
        "h": 8,
        "w": 12,
        "x": 12,
        "y": 22
      },
      "id": 15,
      "options": {
        "legend": {
          "displayMode": "list",
          "placement": "bottom",
          "showLegend": true
        },
        "tooltip": {
          "mode": "multi",
          "sort": "desc"
        }
      },
      "targets": [
        {
          "datasource": {
            "type": "prometheus",
            "uid": "${datasource}"
          },
          "expr": "3600 * sum by (reason) (rate(swr_samples_dropped_total{job=~\"$job\", account=~\"$account\", instance=~\"$instance\"}[$__rate_interval]))",
          "format": "time_series",
          "instant": false,
          "legendFormat": "{{reason}}",
          "range": true,
          "refId": "A"
        }
      ],
      "title": "Values left out",
      "type": "timeseries"
    },
    {
      "collapsed": false,
      "gridPos": {
        "h": 1,
        "w": 24,
        "x": 0,
        "y": 30
      },
      "id": 16,
      "panels": [],
      "title": "Calls of the API",
      "type": "row"
    },
    {
      "datasource": {
        "type": "prometheus",
        "uid": "${datasource}"
      },
      "description": "Requests sent, by operation.",
      "fieldConfig": {
        "defaults": {
          "custom": {
            "fillOpacity": 40,
            "showPoints": "never",
            "stacking": {
              "group": "A",
              "mode": "normal"
            }
          },
          "links": [],
          "min": 0,
          "noValue": "no data yet",
          "thresholds": {
            "mode": "absolute" as any,
            "steps": [
              {
                "color": "text",
                "value": null
              }
            ]
          },
          "unit": "short"
        },
        "overrides": []
      },
      "gridPos": {
        "h": 8,
        "w": 12,
        "x": 0,
        "y": 31
      },
      "id": 17,
      "options": {
        "legend": {
          "displayMode": "list",
          "placement": "bottom",
          "showLegend": true
        },
        "tooltip": {
          "mode": "multi",
          "sort": "desc"
        }
      },
      "targets": [
        {
          "datasource": {
            "type": "prometheus",
            "uid": "${datasource}"
          },
          "expr": "60 * sum by (operation) (rate(swr_api_requests_total{job=~\"$job\", account=~\"$account\", instance=~\"$instance\"}[$__rate_interval]))",
          "format": "time_series",
          "instant": false,
          "legendFormat": "{{operation}}",
          "range": true,
          "refId": "A"
        }
      ],
      "title": "Calls per minute",
      "type": "timeseries"
    },
    {
      "datasource": {
        "type": "prometheus",
        "uid": "${datasource}"
      },
      "description": "Share of requests with another status than 2xx, by status; none where no answer came.",
      "fieldConfig": {
        "defaults": {
          "custom": {
            "fillOpacity": 8,
            "showPoints": "never"
          },
          "links": [],
          "min": 0,
          "noValue": "none",
          "thresholds": {
            "mode": "absolute" as any,
            "steps": [
              {
                "color": "text",
                "value": null
              }
            ]
          },
          "unit": "percentunit"
        },
        "overrides": []
      },
      "gridPos": {
        "h": 8,
        "w": 12,
        "x": 12,
        "y": 31
      },
      "id": 18,
      "options": {
        "legend": {
          "displayMode": "list",
          "placement": "bottom",
          "showLegend": true
        },
        "tooltip": {
          "mode": "multi",
          "sort": "desc"
        }
      },
      "targets": [
        {
          "datasource": {
            "type": "prometheus",
            "uid": "${datasource}"
          },
          "expr": "sum by (code) (rate(swr_api_requests_total{job=~\"$job\", account=~\"$account\", instance=~\"$instance\", code!~\"2..\"}[$__rate_interval])) / ignoring (code) group_left () sum(rate(swr_api_requests_total{job=~\"$job\", account=~\"$account\", instance=~\"$instance\"}[$__rate_interval]))",
          "format": "time_series",
          "instant": false,
          "legendFormat": "{{code}}",
          "range": true,
          "refId": "A"
        }
      ],
      "title": "Share of calls that failed",
      "type": "timeseries"
    },
    {
      "datasource": {
        "type": "prometheus",
        "uid": "${datasource}"
      },
      "description": "Time from sending a request to the end of its answer.",
      "fieldConfig": {
        "defaults": {
          "links": [],
          "noValue": "no data yet",
          "thresholds": {
            "mode": "absolute" as any,
            "steps": [
              {
                "color": "text",
                "value": null
              }
            ]
          },
          "unit": "s"
        },
        "overrides": []
      },
      "gridPos": {
        "h": 8,
        "w": 12,
        "x": 0,
        "y": 39
      },
      "id": 19,
      "options": {
        "calculate": false,
        "color": {
          "mode": "scheme",
          "scheme": "Oranges"
        },
        "tooltip": {
          "mode": "single",
          "yHistogram": true
        },
        "yAxis": {
          "unit": "s"
        }
      },
      "targets": [
        {
          "datasource": {
            "type": "prometheus",
            "uid": "${datasource}"
          },
          "expr": "sum by (le) (increase(swr_api_request_duration_seconds_bucket{job=~\"$job\", account=~\"$account\", instance=~\"$instance\"}[$__rate_interval]))",
          "format": "heatmap",
          "instant": false,
          "legendFormat": "{{le}}",
          "range": true,
          "refId": "A"
        }
      ],
      "title": "Latency",
      "type": "heatmap"
    },
    {
      "datasource": {
        "type": "prometheus",
        "uid": "${datasource}"
      },
      "description": "The time within which 99 of 100 requests ended, by operation.",
      "fieldConfig": {
        "defaults": {
          "custom": {
            "fillOpacity": 8,
            "showPoints": "never"
          },
          "links": [],
          "min": 0,
          "noValue": "no data yet",
          "thresholds": {
            "mode": "absolute" as any,
            "steps": [
              {
                "color": "text",
                "value": null
              }
            ]
          },
          "unit": "s"
        },
        "overrides": []
      },
      "gridPos": {
        "h": 8,
        "w": 12,
        "x": 12,
        "y": 39
      },
      "id": 20,
      "options": {
        "legend": {
          "displayMode": "list",
          "placement": "bottom",
          "showLegend": true
        },
        "tooltip": {
          "mode": "multi",
          "sort": "desc"
        }
      },
      "targets": [
        {
          "datasource": {
            "type": "prometheus",
            "uid": "${datasource}"
          },
          "expr": "histogram_quantile(0.99, sum by (le, operation) (rate(swr_api_request_duration_seconds_bucket{job=~\"$job\", account=~\"$account\", instance=~\"$instance\"}[$__rate_interval])))",
          "format": "time_series",
          "instant": false,
          "legendFormat": "{{operation}}",
          "range": true,
          "refId": "A"
        }
      ],
      "title": "Latency, 99 of 100",
      "type": "timeseries"
    },
    {
      "datasource": {
        "type": "prometheus",
        "uid": "${datasource}"
      },
      "description": "Seconds per second that requests waited for the rate limit or because the API asked for a pause.",
      "fieldConfig": {
        "defaults": {
          "custom": {
            "fillOpacity": 8,
            "showPoints": "never"
          },
          "links": [],
          "min": 0,
          "noValue": "no data yet",
          "thresholds": {
            "mode": "absolute" as any,
            "steps": [
              {
                "color": "text",
                "value": null
              }
            ]
          },
          "unit": "percentunit"
        },
        "overrides": []
      },
      "gridPos": {
        "h": 8,
        "w": 12,
        "x": 0,
        "y": 47
      },
      "id": 21,
      "options": {
        "legend": {
          "displayMode": "list",
          "placement": "bottom",
          "showLegend": true
        },
        "tooltip": {
          "mode": "multi",
          "sort": "desc"
        }
      },
      "targets": [
        {
          "datasource": {
            "type": "prometheus",
            "uid": "${datasource}"
          },
          "expr": "sum(rate(swr_api_throttle_wait_seconds_total{job=~\"$job\", account=~\"$account\", instance=~\"$instance\"}[$__rate_interval]))",
          "format": "time_series",
          "instant": false,
          "legendFormat": "waiting",
          "range": true,
          "refId": "A"
        }
      ],
      "title": "Throttling",
      "type": "timeseries"
    },
    {
      "datasource": {
        "type": "prometheus",
        "uid": "${datasource}"
      },
      "description": "Requests that were sent again after a failure, by operation.",
      "fieldConfig": {
        "defaults": {
          "custom": {
            "fillOpacity": 8,
            "showPoints": "never"
          },
          "links": [],
          "min": 0,
          "noValue": "none",
          "thresholds": {
            "mode": "absolute" as any,
            "steps": [
              {
                "color": "text",
                "value": null
              }
            ]
          },
          "unit": "short"
        },
        "overrides": []
      },
      "gridPos": {
        "h": 8,
        "w": 12,
        "x": 12,
        "y": 47
      },
      "id": 22,
      "options": {
        "legend": {
          "displayMode": "list",
          "placement": "bottom",
          "showLegend": true
        },
        "tooltip": {
          "mode": "multi",
          "sort": "desc"
        }
      },
      "targets": [
        {
          "datasource": {
            "type": "prometheus",
            "uid": "${datasource}"
          },
          "expr": "3600 * sum by (operation) (rate(swr_api_retries_total{job=~\"$job\", account=~\"$account\", instance=~\"$instance\"}[$__rate_interval]))",
          "format": "time_series",
          "instant": false,
          "legendFormat": "{{operation}}",
          "range": true,
          "refId": "A"
        }
      ],
      "title": "Retries per hour",
      "type": "timeseries"
    },
    {
      "collapsed": false,
      "gridPos": {
        "h": 1,
        "w": 24,
        "x": 0,
        "y": 55
      },
      "id": 23,
      "panels": [],
      "title": "Scrapes",
      "type": "row"
    },
    {
      "datasource": {
        "type": "prometheus",
        "uid": "${datasource}"
      },
      "description": "Scrapes by what they were given: data inside its window, data refreshed for them, older data, or none.",
      "fieldConfig": {
        "defaults": {
          "custom": {
            "fillOpacity": 40,
            "showPoints": "never",
            "stacking": {
              "group": "A",
              "mode": "normal"
            }
          },
          "links": [],
          "min": 0,
          "noValue": "no data yet",
          "thresholds": {
            "mode": "absolute" as any,
            "steps": [
              {
                "color": "text",
                "value": null
              }
            ]
          },
          "unit": "short"
        },
        "overrides": []
      },
      "gridPos": {
        "h": 8,
        "w": 8,
        "x": 0,
        "y": 56
      },
      "id": 24,
      "options": {
        "legend": {
          "displayMode": "list",
          "placement": "bottom",
          "showLegend": true
        },
        "tooltip": {
          "mode": "multi",
          "sort": "desc"
        }
      },
      "targets": [
        {
          "datasource": {
            "type": "prometheus",
            "uid": "${datasource}"
          },
          "expr": "60 * sum by (served) (rate(swr_scrapes_total{job=~\"$job\", account=~\"$account\", instance=~\"$instance\"}[$__rate_interval]))",
          "format": "time_series",
          "instant": false,
          "legendFormat": "{{served}}",
          "range": true,
          "refId": "A"
        }
      ],
      "title": "Scrapes per minute",
      "type": "timeseries"
    },
    {
      "datasource": {
        "type": "prometheus",
        "uid": "${datasource}"
      },
      "description": "Scrapes refused with 503, connections closed or not accepted, and answers that ended in a fault.",
      "fieldConfig": {
        "defaults": {
          "custom": {
            "fillOpacity": 8,
            "showPoints": "never"
          },
          "links": [],
          "min": 0,
          "noValue": "none",
          "thresholds": {
            "mode": "absolute" as any,
            "steps": [
              {
                "color": "text",
                "value": null
              }
            ]
          },
          "unit": "short"
        },
        "overrides": []
      },
      "gridPos": {
        "h": 8,
        "w": 8,
        "x": 8,
        "y": 56
      },
      "id": 25,
      "options": {
        "legend": {
          "displayMode": "list",
          "placement": "bottom",
          "showLegend": true
        },
        "tooltip": {
          "mode": "multi",
          "sort": "desc"
        }
      },
      "targets": [
        {
          "datasource": {
            "type": "prometheus",
            "uid": "${datasource}"
          },
          "expr": "3600 * sum(rate(swr_exporter_scrapes_refused_total{job=~\"$job\", account=~\"$account\", instance=~\"$instance\"}[$__rate_interval]))",
          "format": "time_series",
          "instant": false,
          "legendFormat": "refused",
          "range": true,
          "refId": "A"
        },
        {
          "datasource": {
            "type": "prometheus",
            "uid": "${datasource}"
          },
          "expr": "3600 * sum by (reason) (rate(swr_exporter_connections_closed_total{job=~\"$job\", account=~\"$account\", instance=~\"$instance\"}[$__rate_interval]))",
          "format": "time_series",
          "instant": false,
          "legendFormat": "closed: {{reason}}",
          "range": true,
          "refId": "B"
        },
        {
          "datasource": {
            "type": "prometheus",
            "uid": "${datasource}"
          },
          "expr": "3600 * sum(rate(swr_exporter_accept_errors_total{job=~\"$job\", account=~\"$account\", instance=~\"$instance\"}[$__rate_interval]))",
          "format": "time_series",
          "instant": false,
          "legendFormat": "not accepted",
          "range": true,
          "refId": "C"
        },
        {
          "datasource": {
            "type": "prometheus",
            "uid": "${datasource}"
          },
          "expr": "3600 * sum(rate(swr_exporter_handler_panics_total{job=~\"$job\", account=~\"$account\", instance=~\"$instance\"}[$__rate_interval]))",
          "format": "time_series",
          "instant": false,
          "legendFormat": "faults",
          "range": true,
          "refId": "D"
        }
      ],
      "title": "Turned away per hour",
      "type": "timeseries"
    },
    {
      "datasource": {
        "type": "prometheus",
        "uid": "${datasource}"
      },
      "description": "Bytes of the page before compression; compare with the body_size_limit of the scrape configuration.",
      "fieldConfig": {
        "defaults": {
          "custom": {
            "fillOpacity": 8,
            "showPoints": "never"
          },
          "links": [],
          "min": 0,
          "noValue": "no data yet",
          "thresholds": {
            "mode": "absolute" as any,
            "steps": [
              {
                "color": "text",
                "value": null
              }
            ]
          },
          "unit": "bytes"
        },
        "overrides": []
      },
      "gridPos": {
        "h": 8,
        "w": 8,
        "x": 16,
        "y": 56
      },
      "id": 26,
      "options": {
        "legend": {
          "displayMode": "list",
          "placement": "bottom",
          "showLegend": true
        },
        "tooltip": {
          "mode": "multi",
          "sort": "desc"
        }
      },
      "targets": [
        {
          "datasource": {
            "type": "prometheus",
            "uid": "${datasource}"
          },
          "expr": "swr_exporter_page_bytes{job=~\"$job\", account=~\"$account\", instance=~\"$instance\"}",
          "format": "time_series",
          "instant": false,
          "legendFormat": "{{instance}} {{account}}",
          "range": true,
          "refId": "A"
        }
      ],
      "title": "Size of the page",
      "type": "timeseries"
    },
    {
      "collapsed": false,
      "gridPos": {
        "h": 1,
        "w": 24,
        "x": 0,
        "y": 64
      },
      "id": 27,
      "panels": [],
      "title": "Process",
      "type": "row"
    },
    {
      "datasource": {
        "type": "prometheus",
        "uid": "${datasource}"
      },
      "description": "Resident memory of the process.",
      "fieldConfig": {
        "defaults": {
          "custom": {
            "fillOpacity": 8,
            "showPoints": "never"
          },
          "links": [],
          "min": 0,
          "noValue": "no data yet",
          "thresholds": {
            "mode": "absolute" as any,
            "steps": [
              {
                "color": "text",
                "value": null
              }
            ]
          },
          "unit": "bytes"
        },
        "overrides": []
      },
      "gridPos": {
        "h": 8,
        "w": 8,
        "x": 0,
        "y": 65
      },
      "id": 28,
      "options": {
        "legend": {
          "displayMode": "list",
          "placement": "bottom",
          "showLegend": true
        },
        "tooltip": {
          "mode": "multi",
          "sort": "desc"
        }
      },
      "targets": [
        {
          "datasource": {
            "type": "prometheus",
            "uid": "${datasource}"
          },
          "expr": "process_resident_memory_bytes{job=~\"$job\", account=~\"$account\", instance=~\"$instance\"}",
          "format": "time_series",
          "instant": false,
          "legendFormat": "{{instance}}",
          "range": true,
          "refId": "A"
        }
      ],
      "title": "Memory",
      "type": "timeseries"
    },
    {
      "datasource": {
        "type": "prometheus",
        "uid": "${datasource}"
      },
      "description": "Cores in use.",
      "fieldConfig": {
        "defaults": {
          "custom": {
            "fillOpacity": 8,
            "showPoints": "never"
          },
          "links": [],
          "min": 0,
          "noValue": "no data yet",
          "thresholds": {
            "mode": "absolute" as any,
            "steps": [
              {
                "color": "text",
                "value": null
              }
            ]
          },
          "unit": "short"
        },
        "overrides": []
      },
      "gridPos": {
        "h": 8,
        "w": 8,
        "x": 8,
        "y": 65
      },
      "id": 29,
      "options": {
        "legend": {
          "displayMode": "list",
          "placement": "bottom",
          "showLegend": true
        },
        "tooltip": {
          "mode": "multi",
          "sort": "desc"
        }
      },
      "targets": [
        {
          "datasource": {
            "type": "prometheus",
            "uid": "${datasource}"
          },
          "expr": "rate(process_cpu_seconds_total{job=~\"$job\", account=~\"$account\", instance=~\"$instance\"}[$__rate_interval])",
          "format": "time_series",
          "instant": false,
          "legendFormat": "{{instance}}",
          "range": true,
          "refId": "A"
        }
      ],
      "title": "CPU",
      "type": "timeseries"
    },
    {
      "datasource": {
        "type": "prometheus",
        "uid": "${datasource}"
      },
      "description": "Open file descriptors, most of them connections.",
      "fieldConfig": {
        "defaults": {
          "custom": {
            "fillOpacity": 8,
            "showPoints": "never"
          },
          "links": [],
          "min": 0,
          "noValue": "no data yet",
          "thresholds": {
            "mode": "absolute" as any,
            "steps": [
              {
                "color": "text",
                "value": null
              }
            ]
          },
          "unit": "short"
        },
        "overrides": []
      },
      "gridPos": {
        "h": 8,
        "w": 8,
        "x": 16,
        "y": 65
      },
      "id": 30,
      "options": {
        "legend": {
          "displayMode": "list",
          "placement": "bottom",
          "showLegend": true
        },
        "tooltip": {
          "mode": "multi",
          "sort": "desc"
        }
      },
      "targets": [
        {
          "datasource": {
            "type": "prometheus",
            "uid": "${datasource}"
          },
          "expr": "process_open_fds{job=~\"$job\", account=~\"$account\", instance=~\"$instance\"}",
          "format": "time_series",
          "instant": false,
          "legendFormat": "{{instance}}",
          "range": true,
          "refId": "A"
        }
      ],
      "title": "Open files",
      "type": "timeseries"
    },
    {
      "datasource": {
        "type": "prometheus",
        "uid": "${datasource}"
      },
      "description": "Version, revision and compiler of each exporter.",
      "fieldConfig": {
        "defaults": {
          "noValue": "no data yet",
          "thresholds": {
            "mode": "absolute" as any,
            "steps": [
              {
                "color": "text",
                "value": null
              }
            ]
          },
          "unit": "short"
        },
        "overrides": []
      },
      "gridPos": {
        "h": 6,
        "w": 12,
        "x": 0,
        "y": 73
      },
      "id": 31,
      "options": {
        "showHeader": true
      },
      "targets": [
        {
          "datasource": {
            "type": "prometheus",
            "uid": "${datasource}"
          },
          "expr": "max by (instance, version, revision, rustversion) (swr_exporter_build_info{job=~\"$job\", account=~\"$account\", instance=~\"$instance\"})",
          "format": "table",
          "instant": true,
          "legendFormat": "__auto",
          "range": false,
          "refId": "A"
        }
      ],
      "title": "Versions",
      "transformations": [
        {
          "id": "merge",
          "options": {}
        },
        {
          "id": "organize",
          "options": {
            "excludeByName": {
              "Time": true,
              "Value": true
            },
            "indexByName": {
              "account": 2,
              "alertname": 0,
              "category": 6,
              "collector": 9,
              "instance": 11,
              "instance_id": 13,
              "name": 12,
              "namespace": 3,
              "quota": 8,
              "reason": 10,
              "repository": 4,
              "revision": 16,
              "rustversion": 17,
              "severity": 1,
              "spec": 14,
              "status": 18,
              "tag": 5,
              "version": 15,
              "visibility": 7
            },
            "renameByName": {
              "account": "Account",
              "alertname": "Alert",
              "category": "Category",
              "collector": "Collector",
              "instance": "Exporter",
              "instance_id": "Instance ID",
              "name": "Instance",
              "namespace": "Organisation",
              "quota": "Quota",
              "reason": "Reason",
              "repository": "Repository",
              "revision": "Revision",
              "rustversion": "Compiler",
              "severity": "Severity",
              "spec": "Edition",
              "status": "Status",
              "tag": "Tag",
              "version": "Version",
              "visibility": "Visibility"
            }
          }
        }
      ],
      "type": "table"
    },
    {
      "datasource": {
        "type": "prometheus",
        "uid": "${datasource}"
      },
      "description": "Whether settings and web configuration could be read when they were last read.",
      "fieldConfig": {
        "defaults": {
          "noValue": "no data yet",
          "thresholds": {
            "mode": "absolute" as any,
            "steps": [
              {
                "color": "text",
                "value": null
              }
            ]
          },
          "unit": "short"
        },
        "overrides": [
          {
            "matcher": {
              "id": "byName",
              "options": "Value #A"
            },
            "properties": [
              {
                "id": "displayName",
                "value": "Settings good"
              },
              {
                "id": "unit",
                "value": "bool_yes_no"
              }
            ]
          },
          {
            "matcher": {
              "id": "byName",
              "options": "Value #B"
            },
            "properties": [
              {
                "id": "displayName",
                "value": "Read before"
              },
              {
                "id": "unit",
                "value": "s"
              }
            ]
          },
          {
            "matcher": {
              "id": "byName",
              "options": "Value #C"
            },
            "properties": [
              {
                "id": "displayName",
                "value": "Web configuration good"
              },
              {
                "id": "unit",
                "value": "bool_yes_no"
              }
            ]
          }
        ]
      },
      "gridPos": {
        "h": 6,
        "w": 12,
        "x": 12,
        "y": 73
      },
      "id": 32,
      "options": {
        "showHeader": true,
        "sortBy": [
          {
            "desc": true,
            "displayName": "Settings good"
          }
        ]
      },
      "targets": [
        {
          "datasource": {
            "type": "prometheus",
            "uid": "${datasource}"
          },
          "expr": "max by (instance) (swr_exporter_config_last_reload_successful{job=~\"$job\", account=~\"$account\", instance=~\"$instance\"})",
          "format": "table",
          "instant": true,
          "legendFormat": "Settings good",
          "range": false,
          "refId": "A"
        },
        {
          "datasource": {
            "type": "prometheus",
            "uid": "${datasource}"
          },
          "expr": "time() - max by (instance) (swr_exporter_config_last_reload_success_timestamp_seconds{job=~\"$job\", account=~\"$account\", instance=~\"$instance\"})",
          "format": "table",
          "instant": true,
          "legendFormat": "Read before",
          "range": false,
          "refId": "B"
        },
        {
          "datasource": {
            "type": "prometheus",
            "uid": "${datasource}"
          },
          "expr": "max by (instance) (swr_exporter_web_config_last_reload_successful{job=~\"$job\", account=~\"$account\", instance=~\"$instance\"})",
          "format": "table",
          "instant": true,
          "legendFormat": "Web configuration good",
          "range": false,
          "refId": "C"
        }
      ],
      "title": "Settings",
      "transformations": [
        {
          "id": "merge",
          "options": {}
        },
        {
          "id": "organize",
          "options": {
            "excludeByName": {
              "Time": true
            },
            "indexByName": {
              "account": 2,
              "alertname": 0,
              "category": 6,
              "collector": 9,
              "instance": 11,
              "instance_id": 13,
              "name": 12,
              "namespace": 3,
              "quota": 8,
              "reason": 10,
              "repository": 4,
              "revision": 16,
              "rustversion": 17,
              "severity": 1,
              "spec": 14,
              "status": 18,
              "tag": 5,
              "version": 15,
              "visibility": 7
            },
            "renameByName": {
              "account": "Account",
              "alertname": "Alert",
              "category": "Category",
              "collector": "Collector",
              "instance": "Exporter",
              "instance_id": "Instance ID",
              "name": "Instance",
              "namespace": "Organisation",
              "quota": "Quota",
              "reason": "Reason",
              "repository": "Repository",
              "revision": "Revision",
              "rustversion": "Compiler",
              "severity": "Severity",
              "spec": "Edition",
              "status": "Status",
              "tag": "Tag",
              "version": "Version",
              "visibility": "Visibility"
            }
          }
        }
      ],
      "type": "table"
    }
  ],
  "refresh": "1m",
  "schemaVersion": 41,
  "tags": [
    "swr-exporter"
  ],
  "templating": {
    "list": [
      {
        "label": "Data source",
        "name": "datasource",
        "query": "prometheus",
        "type": "datasource"
      },
      {
        "allValue": ".+",
        "current": {
          "text": [
            "All"
          ],
          "value": [
            "$__all"
          ]
        },
        "datasource": {
          "type": "prometheus",
          "uid": "${datasource}"
        },
        "includeAll": true,
        "label": "Job",
        "multi": true,
        "name": "job",
        "query": {
          "query": "label_values({__name__=~\"swr_up|swr_exporter_build_info\"}, job)",
          "refId": "job"
        },
        "refresh": 2,
        "sort": 5,
        "type": "query"
      },
      {
        "allValue": ".*",
        "current": {
          "text": [
            "All"
          ],
          "value": [
            "$__all"
          ]
        },
        "datasource": {
          "type": "prometheus",
          "uid": "${datasource}"
        },
        "includeAll": true,
        "label": "Account",
        "multi": true,
        "name": "account",
        "query": {
          "query": "label_values(swr_up{job=~\"$job\"}, account)",
          "refId": "account"
        },
        "refresh": 2,
        "sort": 5,
        "type": "query"
      },
      {
        "allValue": ".+",
        "current": {
          "text": [
            "All"
          ],
          "value": [
            "$__all"
          ]
        },
        "datasource": {
          "type": "prometheus",
          "uid": "${datasource}"
        },
        "includeAll": true,
        "label": "Instance",
        "multi": true,
        "name": "instance",
        "query": {
          "query": "label_values(swr_scrapes_total{job=~\"$job\"}, instance)",
          "refId": "instance"
        },
        "refresh": 2,
        "sort": 5,
        "type": "query"
      }
    ]
  },
  "time": {
    "from": "now-6h",
    "to": "now"
  },
  "timezone": "",
  "title": "SWR / Exporter",
  "uid": "swr-exporter",
  "version": 1
}
;
