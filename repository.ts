import type { Dashboard } from '@grafana/schema';
export const d: Dashboard = {
  "annotations": {
    "list": []
  },
  "description": "The chosen repositories: size, tags, downloads, layers, ages. Of many, the lines show twenty.",
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
      "title": "Now",
      "type": "row"
    },
    {
      "datasource": {
        "type": "prometheus",
        "uid": "${datasource}"
      },
      "description": "Sum of the sizes of the chosen repositories.",
      "fieldConfig": {
        "defaults": {
          "links": [
            {
              "title": "Show the overview",
              "url": "/d/swr-overview?${namespace:queryparam}&${datasource:queryparam}&${job:queryparam}&${account:queryparam}&${__url_time_range}"
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
          "unit": "bytes"
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
          "expr": "sum(max without (instance, pod, node, replica) (swr_repository_size_bytes{job=~\"$job\", account=~\"$account\", namespace=~\"$namespace\", repository=~\"$repository\"}))",
          "format": "time_series",
          "instant": true,
          "legendFormat": "__auto",
          "range": false,
          "refId": "A"
        }
      ],
      "title": "Size",
      "type": "stat"
    },
    {
      "datasource": {
        "type": "prometheus",
        "uid": "${datasource}"
      },
      "description": "Tags of the chosen repositories.",
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
          "expr": "sum(max without (instance, pod, node, replica) (swr_repository_images{job=~\"$job\", account=~\"$account\", namespace=~\"$namespace\", repository=~\"$repository\"}))",
          "format": "time_series",
          "instant": true,
          "legendFormat": "__auto",
          "range": false,
          "refId": "A"
        }
      ],
      "title": "Tags",
      "type": "stat"
    },
    {
      "datasource": {
        "type": "prometheus",
        "uid": "${datasource}"
      },
      "description": "Downloads of the chosen repositories so far.",
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
          "expr": "sum(max without (instance, pod, node, replica) (swr_repository_downloads{job=~\"$job\", account=~\"$account\", namespace=~\"$namespace\", repository=~\"$repository\"}))",
          "format": "time_series",
          "instant": true,
          "legendFormat": "__auto",
          "range": false,
          "refId": "A"
        }
      ],
      "title": "Downloads",
      "type": "stat"
    },
    {
      "datasource": {
        "type": "prometheus",
        "uid": "${datasource}"
      },
      "description": "When one of the chosen repositories was last updated.",
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
          "unit": "dateTimeFromNow"
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
          "expr": "clamp_max(max(max without (instance, pod, node, replica) (swr_repository_updated_timestamp_seconds{job=~\"$job\", account=~\"$account\", namespace=~\"$namespace\", repository=~\"$repository\"})), time()) * 1000",
          "format": "time_series",
          "instant": true,
          "legendFormat": "__auto",
          "range": false,
          "refId": "A"
        }
      ],
      "title": "Last push",
      "type": "stat"
    },
    {
      "datasource": {
        "type": "prometheus",
        "uid": "${datasource}"
      },
      "description": "Bytes of distinct layers, counted once in each repository.",
      "fieldConfig": {
        "defaults": {
          "links": [],
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
          "unit": "bytes"
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
          "expr": "sum(max without (instance, pod, node, replica) (swr_repository_unique_layer_bytes{job=~\"$job\", account=~\"$account\", namespace=~\"$namespace\", repository=~\"$repository\"}))",
          "format": "time_series",
          "instant": true,
          "legendFormat": "__auto",
          "range": false,
          "refId": "A"
        }
      ],
      "title": "Distinct layers",
      "type": "stat"
    },
    {
      "datasource": {
        "type": "prometheus",
        "uid": "${datasource}"
      },
      "description": "Bytes of layers that no other repository refers to.",
      "fieldConfig": {
        "defaults": {
          "links": [],
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
          "unit": "bytes"
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
          "expr": "sum(max without (instance, pod, node, replica) (swr_repository_exclusive_layer_bytes{job=~\"$job\", account=~\"$account\", namespace=~\"$namespace\", repository=~\"$repository\"}))",
          "format": "time_series",
          "instant": true,
          "legendFormat": "__auto",
          "range": false,
          "refId": "A"
        }
      ],
      "title": "Freed by deleting",
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
      "title": "Over time",
      "type": "row"
    },
    {
      "datasource": {
        "type": "prometheus",
        "uid": "${datasource}"
      },
      "description": "The size that the API tells, of the 20 largest.",
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
          "expr": "max without (instance, pod, node, replica) (swr_repository_size_bytes{job=~\"$job\", account=~\"$account\", namespace=~\"$namespace\", repository=~\"$repository\"}) and topk(20, max without (instance, pod, node, replica) (swr_repository_size_bytes{job=~\"$job\", account=~\"$account\", namespace=~\"$namespace\", repository=~\"$repository\"} @ end()))",
          "format": "time_series",
          "instant": false,
          "legendFormat": "{{namespace}}/{{repository}}",
          "range": true,
          "refId": "A"
        }
      ],
      "title": "Size by repository",
      "type": "timeseries"
    },
    {
      "datasource": {
        "type": "prometheus",
        "uid": "${datasource}"
      },
      "description": "The number of tags that the API tells, of the 20 with the most.",
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
          "expr": "max without (instance, pod, node, replica) (swr_repository_images{job=~\"$job\", account=~\"$account\", namespace=~\"$namespace\", repository=~\"$repository\"}) and topk(20, max without (instance, pod, node, replica) (swr_repository_images{job=~\"$job\", account=~\"$account\", namespace=~\"$namespace\", repository=~\"$repository\"} @ end()))",
          "format": "time_series",
          "instant": false,
          "legendFormat": "{{namespace}}/{{repository}}",
          "range": true,
          "refId": "A"
        }
      ],
      "title": "Tags by repository",
      "type": "timeseries"
    },
    {
      "datasource": {
        "type": "prometheus",
        "uid": "${datasource}"
      },
      "description": "How many downloads were added in the hour before, of the 20 with the most in the time shown. Where the API's count falls, none is shown.",
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
        "w": 12,
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
          "expr": "clamp_min(max without (instance, pod, node, replica) (swr_repository_downloads{job=~\"$job\", account=~\"$account\", namespace=~\"$namespace\", repository=~\"$repository\"}) - max without (instance, pod, node, replica) (swr_repository_downloads{job=~\"$job\", account=~\"$account\", namespace=~\"$namespace\", repository=~\"$repository\"} offset 1h), 0) and topk(20, max without (instance, pod, node, replica) (swr_repository_downloads{job=~\"$job\", account=~\"$account\", namespace=~\"$namespace\", repository=~\"$repository\"} @ end()) - max without (instance, pod, node, replica) (swr_repository_downloads{job=~\"$job\", account=~\"$account\", namespace=~\"$namespace\", repository=~\"$repository\"} @ start()))",
          "format": "time_series",
          "instant": false,
          "legendFormat": "{{namespace}}/{{repository}}",
          "range": true,
          "refId": "A"
        }
      ],
      "title": "Downloads per hour by repository",
      "type": "timeseries"
    },
    {
      "datasource": {
        "type": "prometheus",
        "uid": "${datasource}"
      },
      "description": "The size less the size of a day before, of the 20 that changed most in the last day; below zero where tags were deleted.",
      "fieldConfig": {
        "defaults": {
          "custom": {
            "fillOpacity": 8,
            "showPoints": "never"
          },
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
          "unit": "bytes"
        },
        "overrides": []
      },
      "gridPos": {
        "h": 8,
        "w": 12,
        "x": 12,
        "y": 14
      },
      "id": 12,
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
          "expr": "max without (instance, pod, node, replica) (swr_repository_size_bytes{job=~\"$job\", account=~\"$account\", namespace=~\"$namespace\", repository=~\"$repository\"}) - max without (instance, pod, node, replica) (swr_repository_size_bytes{job=~\"$job\", account=~\"$account\", namespace=~\"$namespace\", repository=~\"$repository\"} offset 1d) and topk(20, abs(max without (instance, pod, node, replica) (swr_repository_size_bytes{job=~\"$job\", account=~\"$account\", namespace=~\"$namespace\", repository=~\"$repository\"} @ end()) - max without (instance, pod, node, replica) (swr_repository_size_bytes{job=~\"$job\", account=~\"$account\", namespace=~\"$namespace\", repository=~\"$repository\"} @ end() offset 1d)))",
          "format": "time_series",
          "instant": false,
          "legendFormat": "{{namespace}}/{{repository}}",
          "range": true,
          "refId": "A"
        }
      ],
      "title": "Growth in a day by repository",
      "type": "timeseries"
    },
    {
      "collapsed": false,
      "gridPos": {
        "h": 1,
        "w": 24,
        "x": 0,
        "y": 22
      },
      "id": 13,
      "panels": [],
      "title": "Layers",
      "type": "row"
    },
    {
      "datasource": {
        "type": "prometheus",
        "uid": "${datasource}"
      },
      "description": "Distinct layers, and of these what no other repository refers to, over the chosen repositories.",
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
          "unit": "bytes"
        },
        "overrides": []
      },
      "gridPos": {
        "h": 8,
        "w": 12,
        "x": 0,
        "y": 23
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
          "expr": "sum(max without (instance, pod, node, replica) (swr_repository_unique_layer_bytes{job=~\"$job\", account=~\"$account\", namespace=~\"$namespace\", repository=~\"$repository\"}))",
          "format": "time_series",
          "instant": false,
          "legendFormat": "distinct",
          "range": true,
          "refId": "A"
        },
        {
          "datasource": {
            "type": "prometheus",
            "uid": "${datasource}"
          },
          "expr": "sum(max without (instance, pod, node, replica) (swr_repository_exclusive_layer_bytes{job=~\"$job\", account=~\"$account\", namespace=~\"$namespace\", repository=~\"$repository\"}))",
          "format": "time_series",
          "instant": false,
          "legendFormat": "exclusive",
          "range": true,
          "refId": "B"
        }
      ],
      "title": "Stored and shared",
      "type": "timeseries"
    },
    {
      "datasource": {
        "type": "prometheus",
        "uid": "${datasource}"
      },
      "description": "What each repository stores, and what deleting it would free, of the 50 that store most.",
      "fieldConfig": {
        "defaults": {
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
        "overrides": [
          {
            "matcher": {
              "id": "byName",
              "options": "Value #A"
            },
            "properties": [
              {
                "id": "displayName",
                "value": "Distinct"
              },
              {
                "id": "unit",
                "value": "bytes"
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
                "value": "Exclusive"
              },
              {
                "id": "unit",
                "value": "bytes"
              }
            ]
          }
        ]
      },
      "gridPos": {
        "h": 8,
        "w": 12,
        "x": 12,
        "y": 23
      },
      "id": 15,
      "options": {
        "showHeader": true,
        "sortBy": [
          {
            "desc": true,
            "displayName": "Distinct"
          }
        ]
      },
      "targets": [
        {
          "datasource": {
            "type": "prometheus",
            "uid": "${datasource}"
          },
          "expr": "max by (account, namespace, repository) (max without (instance, pod, node, replica) (swr_repository_unique_layer_bytes{job=~\"$job\", account=~\"$account\", namespace=~\"$namespace\", repository=~\"$repository\"})) and topk(50, max by (account, namespace, repository) (max without (instance, pod, node, replica) (swr_repository_unique_layer_bytes{job=~\"$job\", account=~\"$account\", namespace=~\"$namespace\", repository=~\"$repository\"})))",
          "format": "table",
          "instant": true,
          "legendFormat": "Distinct",
          "range": false,
          "refId": "A"
        },
        {
          "datasource": {
            "type": "prometheus",
            "uid": "${datasource}"
          },
          "expr": "max by (account, namespace, repository) (max without (instance, pod, node, replica) (swr_repository_exclusive_layer_bytes{job=~\"$job\", account=~\"$account\", namespace=~\"$namespace\", repository=~\"$repository\"})) and topk(50, max by (account, namespace, repository) (max without (instance, pod, node, replica) (swr_repository_unique_layer_bytes{job=~\"$job\", account=~\"$account\", namespace=~\"$namespace\", repository=~\"$repository\"})))",
          "format": "table",
          "instant": true,
          "legendFormat": "Exclusive",
          "range": false,
          "refId": "B"
        }
      ],
      "title": "Layers by repository",
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
    },
    {
      "collapsed": false,
      "gridPos": {
        "h": 1,
        "w": 24,
        "x": 0,
        "y": 31
      },
      "id": 16,
      "panels": [],
      "title": "Tags",
      "type": "row"
    },
    {
      "datasource": {
        "type": "prometheus",
        "uid": "${datasource}"
      },
      "description": "Tags by the time since they were updated. Many old ones speak for a retention rule.",
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
        "w": 12,
        "x": 0,
        "y": 32
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
          "expr": "sum(max without (instance, pod, node, replica) (swr_repository_tags_by_age{job=~\"$job\", account=~\"$account\", namespace=~\"$namespace\", repository=~\"$repository\", age=\"7d\"}))",
          "format": "time_series",
          "instant": false,
          "legendFormat": "up to 7 days",
          "range": true,
          "refId": "A"
        },
        {
          "datasource": {
            "type": "prometheus",
            "uid": "${datasource}"
          },
          "expr": "sum(max without (instance, pod, node, replica) (swr_repository_tags_by_age{job=~\"$job\", account=~\"$account\", namespace=~\"$namespace\", repository=~\"$repository\", age=\"30d\"}))",
          "format": "time_series",
          "instant": false,
          "legendFormat": "up to 30 days",
          "range": true,
          "refId": "B"
        },
        {
          "datasource": {
            "type": "prometheus",
            "uid": "${datasource}"
          },
          "expr": "sum(max without (instance, pod, node, replica) (swr_repository_tags_by_age{job=~\"$job\", account=~\"$account\", namespace=~\"$namespace\", repository=~\"$repository\", age=\"90d\"}))",
          "format": "time_series",
          "instant": false,
          "legendFormat": "up to 90 days",
          "range": true,
          "refId": "C"
        },
        {
          "datasource": {
            "type": "prometheus",
            "uid": "${datasource}"
          },
          "expr": "sum(max without (instance, pod, node, replica) (swr_repository_tags_by_age{job=~\"$job\", account=~\"$account\", namespace=~\"$namespace\", repository=~\"$repository\", age=\"365d\"}))",
          "format": "time_series",
          "instant": false,
          "legendFormat": "up to a year",
          "range": true,
          "refId": "D"
        },
        {
          "datasource": {
            "type": "prometheus",
            "uid": "${datasource}"
          },
          "expr": "sum(max without (instance, pod, node, replica) (swr_repository_tags_by_age{job=~\"$job\", account=~\"$account\", namespace=~\"$namespace\", repository=~\"$repository\", age=\"older\"}))",
          "format": "time_series",
          "instant": false,
          "legendFormat": "older",
          "range": true,
          "refId": "E"
        }
      ],
      "title": "Tags by age",
      "type": "timeseries"
    },
    {
      "datasource": {
        "type": "prometheus",
        "uid": "${datasource}"
      },
      "description": "The age of the oldest and of the newest tag, of the 50 repositories with the oldest.",
      "fieldConfig": {
        "defaults": {
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
        "overrides": [
          {
            "matcher": {
              "id": "byName",
              "options": "Value #A"
            },
            "properties": [
              {
                "id": "displayName",
                "value": "Oldest tag"
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
              "options": "Value #B"
            },
            "properties": [
              {
                "id": "displayName",
                "value": "Newest tag"
              },
              {
                "id": "unit",
                "value": "s"
              }
            ]
          }
        ]
      },
      "gridPos": {
        "h": 8,
        "w": 12,
        "x": 12,
        "y": 32
      },
      "id": 18,
      "options": {
        "showHeader": true,
        "sortBy": [
          {
            "desc": true,
            "displayName": "Oldest tag"
          }
        ]
      },
      "targets": [
        {
          "datasource": {
            "type": "prometheus",
            "uid": "${datasource}"
          },
          "expr": "max by (account, namespace, repository) (clamp_min(time() - max without (instance, pod, node, replica) (swr_repository_oldest_tag_timestamp_seconds{job=~\"$job\", account=~\"$account\", namespace=~\"$namespace\", repository=~\"$repository\"}), 0)) and topk(50, max by (account, namespace, repository) (clamp_min(time() - max without (instance, pod, node, replica) (swr_repository_oldest_tag_timestamp_seconds{job=~\"$job\", account=~\"$account\", namespace=~\"$namespace\", repository=~\"$repository\"}), 0)))",
          "format": "table",
          "instant": true,
          "legendFormat": "Oldest tag",
          "range": false,
          "refId": "A"
        },
        {
          "datasource": {
            "type": "prometheus",
            "uid": "${datasource}"
          },
          "expr": "max by (account, namespace, repository) (clamp_min(time() - max without (instance, pod, node, replica) (swr_repository_newest_tag_timestamp_seconds{job=~\"$job\", account=~\"$account\", namespace=~\"$namespace\", repository=~\"$repository\"}), 0)) and topk(50, max by (account, namespace, repository) (clamp_min(time() - max without (instance, pod, node, replica) (swr_repository_oldest_tag_timestamp_seconds{job=~\"$job\", account=~\"$account\", namespace=~\"$namespace\", repository=~\"$repository\"}), 0)))",
          "format": "table",
          "instant": true,
          "legendFormat": "Newest tag",
          "range": false,
          "refId": "B"
        }
      ],
      "title": "Oldest and newest tags",
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
    },
    {
      "datasource": {
        "type": "prometheus",
        "uid": "${datasource}"
      },
      "description": "The 50 largest tags, of repositories that have a series a tag (--collector.tags.detail).",
      "fieldConfig": {
        "defaults": {
          "noValue": "no repository has a series a tag",
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
              "options": "Value"
            },
            "properties": [
              {
                "id": "displayName",
                "value": "Size"
              },
              {
                "id": "unit",
                "value": "bytes"
              }
            ]
          }
        ]
      },
      "gridPos": {
        "h": 8,
        "w": 12,
        "x": 0,
        "y": 40
      },
      "id": 19,
      "options": {
        "showHeader": true,
        "sortBy": [
          {
            "desc": true,
            "displayName": "Size"
          }
        ]
      },
      "targets": [
        {
          "datasource": {
            "type": "prometheus",
            "uid": "${datasource}"
          },
          "expr": "topk(50, max by (account, namespace, repository, tag) (max without (instance, pod, node, replica) (swr_tag_size_bytes{job=~\"$job\", account=~\"$account\", namespace=~\"$namespace\", repository=~\"$repository\"})))",
          "format": "table",
          "instant": true,
          "legendFormat": "Size",
          "range": false,
          "refId": "A"
        }
      ],
      "title": "Largest tags",
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
    },
    {
      "datasource": {
        "type": "prometheus",
        "uid": "${datasource}"
      },
      "description": "Category, visibility and age of the chosen repositories, the 50 oldest.",
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
              "options": "Value"
            },
            "properties": [
              {
                "id": "displayName",
                "value": "Age"
              },
              {
                "id": "unit",
                "value": "s"
              }
            ]
          }
        ]
      },
      "gridPos": {
        "h": 8,
        "w": 12,
        "x": 12,
        "y": 40
      },
      "id": 20,
      "options": {
        "showHeader": true,
        "sortBy": [
          {
            "desc": true,
            "displayName": "Age"
          }
        ]
      },
      "targets": [
        {
          "datasource": {
            "type": "prometheus",
            "uid": "${datasource}"
          },
          "expr": "topk(50, max by (account, namespace, repository, category, visibility) (max without (instance, pod, node, replica) (swr_repository_info{job=~\"$job\", account=~\"$account\", namespace=~\"$namespace\", repository=~\"$repository\"})) * on (account, namespace, repository) group_left () max by (account, namespace, repository) (clamp_min(time() - max without (instance, pod, node, replica) (swr_repository_created_timestamp_seconds{job=~\"$job\", account=~\"$account\", namespace=~\"$namespace\", repository=~\"$repository\"}), 0)))",
          "format": "table",
          "instant": true,
          "legendFormat": "Age",
          "range": false,
          "refId": "A"
        }
      ],
      "title": "What it is",
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
        "label": "Organisation",
        "multi": true,
        "name": "namespace",
        "query": {
          "query": "label_values(swr_namespace_repositories{job=~\"$job\", account=~\"$account\"}, namespace)",
          "refId": "namespace"
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
        "label": "Repository",
        "multi": true,
        "name": "repository",
        "query": {
          "query": "label_values(swr_repository_size_bytes{job=~\"$job\", account=~\"$account\", namespace=~\"$namespace\"}, repository)",
          "refId": "repository"
        },
        "refresh": 2,
        "sort": 5,
        "type": "query"
      }
    ]
  },
  "time": {
    "from": "now-7d",
    "to": "now"
  },
  "timezone": "",
  "title": "SWR / Repository",
  "uid": "swr-repository",
  "version": 1
}
;
